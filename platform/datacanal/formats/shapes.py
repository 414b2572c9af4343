"""SQL that gives a value the shape in which it leaves in Arrow or Parquet, members of nested values included."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.types import NESTED, RULES, ColumnarFormat, changes, members, name_of
from datacanal.planning.quoting import identifier, literal

_TAG = "tag"


def shaped(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int = 0) -> str:
    """The expression that turns `value` of that type into what leaves in that format; itself where nothing changes."""
    if not changes(kind, target):
        return value
    name = name_of(kind)
    if name not in NESTED:
        return _leaf(value, kind, target)
    match name:
        case "LIST":
            return _list(value, kind, target, depth)
        case "ARRAY":
            return _array(value, kind, target, depth)
        case "MAP":
            return _map(value, kind, target, depth)
        case "UNION":
            return _union(value, kind, target, depth)
    return _struct(value, kind, target, depth)


def _leaf(value: str, kind: DuckDBPyType, target: ColumnarFormat) -> str:
    if name_of(kind) == "VARIANT":
        return f"CAST(CAST({value} AS JSON) AS VARCHAR)"
    return f"CAST({value} AS {RULES[name_of(kind)].cast(target)})"


def _struct(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int) -> str:
    parts = [
        (name, shaped(member(value, kind, position), child, target, depth))
        for position, (name, child) in enumerate(members(kind))
    ]
    if name_of(kind) == "TUPLE" and target == "lossless":
        return _unless_null(value, f"row({', '.join(part for _, part in parts)})")
    return _unless_null(value, _packed(parts))


def _union(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int) -> str:
    parts = [
        (name, shaped(member(value, kind, position), child, target, depth))
        for position, (name, child) in enumerate(members(kind))
    ]
    if target == "lossless":
        cases = " ".join(
            f"WHEN {literal(name)} THEN CAST(union_value({identifier(name)} := {part}) AS {_wire_union(kind)})"
            for name, part in parts
        )
        return f"CASE CAST(union_tag({value}) AS VARCHAR) {cases} END"
    tag = _TAG
    while tag in {name.lower() for name, _ in parts}:
        tag += "_"
    return _unless_null(value, _packed([(tag, f"CAST(union_tag({value}) AS VARCHAR)"), *parts]))


def _list(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int) -> str:
    [(_, child)] = members(kind)
    item = f"e{depth}"
    return f"list_transform({value}, lambda {item}: {shaped(item, child, target, depth + 1)})"


def _array(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int) -> str:
    [(_, child)] = members(kind)
    item = f"e{depth}"
    items = f"list_transform(CAST({value} AS {child}[]), lambda {item}: {shaped(item, child, target, depth + 1)})"
    return items if target == "parquet" else f"CAST({items} AS {wire_type(child, target)}[{kind.children[1][1]}])"


def _map(value: str, kind: DuckDBPyType, target: ColumnarFormat, depth: int) -> str:
    (_, key), (_, content) = members(kind)
    item = f"e{depth}"
    entry = _packed(
        [
            ("key", shaped(f"{item}.key", key, target, depth + 1)),
            ("value", shaped(f"{item}.value", content, target, depth + 1)),
        ]
    )
    return _unless_null(value, f"map_from_entries(list_transform(map_entries({value}), lambda {item}: {entry}))")


def member(value: str, kind: DuckDBPyType, position: int) -> str:
    """The expression of a member of a STRUCT, TUPLE or UNION."""
    name = members(kind)[position][0]
    match name_of(kind):
        case "UNION":
            return f"union_extract({value}, {literal(name)})"
        case "TUPLE":
            return f"struct_extract({value}, {position + 1})"
    return f"struct_extract({value}, {literal(name)})"


def wire_type(kind: DuckDBPyType, target: ColumnarFormat) -> str:
    """The DuckDB type that `shaped` gives."""
    if not changes(kind, target):
        return str(kind)
    name = name_of(kind)
    if name not in NESTED:
        return str(RULES[name].cast(target))
    inner = [(label, wire_type(child, target)) for label, child in members(kind)]
    match name:
        case "LIST":
            return f"{inner[0][1]}[]"
        case "ARRAY":
            return f"{inner[0][1]}[]" if target == "parquet" else f"{inner[0][1]}[{kind.children[1][1]}]"
        case "MAP":
            return f"MAP({inner[0][1]}, {inner[1][1]})"
    return _composite_type(name, inner, target)


def _composite_type(name: str, inner: Sequence[tuple[str, str]], target: ColumnarFormat) -> str:
    fields = ", ".join(f"{identifier(label)} {text}" for label, text in inner)
    if target == "lossless":
        return f"TUPLE({', '.join(text for _, text in inner)})" if name == "TUPLE" else f"{name}({fields})"
    return f'STRUCT("{_TAG}" VARCHAR, {fields})' if name == "UNION" else f"STRUCT({fields})"


def _wire_union(kind: DuckDBPyType) -> str:
    return wire_type(kind, "lossless")


def _packed(parts: Sequence[tuple[str, str]]) -> str:
    return f"struct_pack({', '.join(f'{identifier(name)} := {part}' for name, part in parts)})"


def _unless_null(value: str, built: str) -> str:
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {built} END"
