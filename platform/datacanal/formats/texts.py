"""SQL that writes a value as JSON or CSV text. No number loses precision: what a double cannot hold is a string."""

from __future__ import annotations

import json

from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.shapes import member
from datacanal.formats.types import NESTED, RULES, members, name_of
from datacanal.planning.quoting import literal

_EXACT = 2**53
_NEVER_QUOTED = {name for name, rule in RULES.items() if rule.text != "string"} | {
    "BIGNUM", "DECIMAL", "BIT", "UUID", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "INTERVAL",
}  # fmt: skip
"""Types whose text holds neither quotes nor commas, so that nobody has to look for them in every value."""
_REAL_NAMES = "WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"


def json_text(value: str, kind: DuckDBPyType, depth: int = 0) -> str:
    """The expression of the value's JSON text; NULL gives `null`, never NULL."""
    name = name_of(kind)
    if name not in NESTED:
        return f"coalesce({_json_leaf(value, kind)}, 'null')"
    match name:
        case "LIST" | "ARRAY":
            return f"coalesce({_json_list(value, kind, depth)}, 'null')"
        case "MAP":
            return f"coalesce({_json_map(value, kind, depth)}, 'null')"
        case "UNION":
            return f"coalesce({_json_union(value, kind, depth)}, 'null')"
    return f"CASE WHEN {value} IS NULL THEN 'null' ELSE {_json_members(value, kind, depth)} END"


def csv_text(value: str, kind: DuckDBPyType) -> str:
    """The expression of the value's CSV field: NULL is an empty field, an empty string is quoted."""
    if name_of(kind) in _NEVER_QUOTED:
        return f"coalesce({leaf_text(value, kind)}, '')"
    if name_of(kind) in NESTED:
        text = f"CASE WHEN {value} IS NULL THEN NULL ELSE {json_text(value, kind)} END"
    else:
        text = leaf_text(value, kind)
    quoted = f"""'"' || replace({text}, '"', '""') || '"'"""
    return (
        f"CASE WHEN {value} IS NULL THEN '' "
        f"""WHEN {text} = '' OR regexp_matches({text}, '[",\\r\\n]|^\\s|\\s$') THEN {quoted} ELSE {text} END"""
    )


def leaf_text(value: str, kind: DuckDBPyType) -> str:
    """The expression of what DuckDB prints for the value, which a CAST reads back."""
    name = name_of(kind)
    if name == "VARIANT":
        return f"CAST(CAST({value} AS JSON) AS VARCHAR)"
    text = f"CAST({value} AS VARCHAR)"
    return f"CASE {text} {_REAL_NAMES} ELSE {text} END" if RULES[name].text == "real" else text


def _json_leaf(value: str, kind: DuckDBPyType) -> str:
    text = leaf_text(value, kind)
    quoted = f"CAST(to_json({text}) AS VARCHAR)"
    match RULES[name_of(kind)].text:
        case "plain":
            return text
        case "wide":
            low = "0" if name_of(kind).startswith("U") else f"-{_EXACT}"
            return f"CASE WHEN {value} BETWEEN {low} AND {_EXACT} THEN {text} ELSE {quoted} END"
        case "real":
            return f"CASE WHEN isfinite({value}) THEN {text} ELSE {quoted} END"
    return quoted


def _json_members(value: str, kind: DuckDBPyType, depth: int) -> str:
    texts = [
        json_text(member(value, kind, position), child, depth) for position, (_, child) in enumerate(members(kind))
    ]
    if name_of(kind) == "TUPLE":
        return f"concat('[', {', '.join(_between(texts))}, ']')"
    named = [f"concat({json_name(name)}, {text})" for (name, _), text in zip(members(kind), texts, strict=True)]
    return f"concat('{{', {', '.join(_between(named))}, '}}')"


def _json_list(value: str, kind: DuckDBPyType, depth: int) -> str:
    child = members(kind)[0][1]
    item = f"e{depth}"
    items = f"list_transform(CAST({value} AS {child}[]), lambda {item}: {json_text(item, child, depth + 1)})"
    return f"'[' || array_to_string({items}, ',') || ']'"


def _json_map(value: str, kind: DuckDBPyType, depth: int) -> str:
    """An object; a key that is no text is written as its text."""
    (_, key), (_, content) = members(kind)
    item = f"e{depth}"
    name = json_text(f"{item}.key", key, depth + 1) if name_of(key) in NESTED else leaf_text(f"{item}.key", key)
    entry = f"concat(to_json({name}), ':', {json_text(f'{item}.value', content, depth + 1)})"
    return f"'{{' || array_to_string(list_transform(map_entries({value}), lambda {item}: {entry}), ',') || '}}'"


def _json_union(value: str, kind: DuckDBPyType, depth: int) -> str:
    """An object of one member: the tag and its value."""
    cases = " ".join(
        f"WHEN {literal(name)} THEN concat('{{', {json_name(name)}, "
        f"{json_text(member(value, kind, position), child, depth)}, '}}')"
        for position, (name, child) in enumerate(members(kind))
    )
    return f"CASE CAST(union_tag({value}) AS VARCHAR) {cases} END"


def json_name(name: str) -> str:
    """The SQL literal of a JSON member's name and colon."""
    return literal(json.dumps(name, ensure_ascii=False) + ":")


def _between(texts: list[str]) -> list[str]:
    return [part for text in texts for part in ("','", text)][1:]
