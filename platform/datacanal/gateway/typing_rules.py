"""How each type stands in JSON, and which operators its columns can be filtered with."""

from __future__ import annotations

from typing import Any

from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.sqltext import parsed_type
from datacanal.formats.types import NESTED, RULES, members, name_of
from datacanal.products.query_form import OPERATORS
from datacanal.products.query_values import refuses_filters

_FORMATS = {"DATE": "date", "UUID": "uuid"}
_EXAMPLES = {
    "BOOLEAN": "true",
    "DATE": "2026-03-31",
    "TIME": "15:00:00",
    "TIMESTAMP WITH TIME ZONE": "2026-03-31T08:00:00Z",
    "VARCHAR": "000001.XSHE",
    "DECIMAL": "10.50",
    "FLOAT": "10.5",
    "DOUBLE": "10.5",
    "UUID": "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
}


def operators_of(type_text: str) -> list[str]:
    """The operators that a column of this type takes; none where it cannot be filtered."""
    kind = parsed_type(type_text)
    if refuses_filters(kind):
        return []
    return [each for each in OPERATORS if each != "like" or name_of(kind) == "VARCHAR"]


def example_of(type_text: str) -> str:
    """A value of this type as a filter has it."""
    name = name_of(parsed_type(type_text))
    return _EXAMPLES.get(name, "2026-03-31T08:00:00" if name.startswith("TIMESTAMP") else "1")


def json_schema(type_text: str, *, nullable: bool) -> dict[str, Any]:
    """What JSON holds for a value of this type."""
    schema = _schema(parsed_type(type_text))
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


def json_encoding(type_text: str) -> str:
    """The same in words."""
    kind = parsed_type(type_text)
    name = name_of(kind)
    if name in NESTED:
        return "array" if name in ("LIST", "ARRAY") else "object"
    if name == "BOOLEAN":
        return "boolean"
    match RULES[name].text:
        case "plain":
            return "number"
        case "wide":
            return "number, beyond 2^53 a string of digits"
        case "real":
            return 'number, or one of the strings "NaN", "Infinity", "-Infinity"'
    return "string"


def _schema(kind: DuckDBPyType) -> dict[str, Any]:
    name = name_of(kind)
    if name in NESTED:
        return _nested(name, kind)
    if name == "BOOLEAN":
        return {"type": "boolean"}
    match RULES[name].text:
        case "plain":
            return {"type": "integer"}
        case "wide":
            return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}]}
        case "real":
            return {"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}
    return {"type": "string", "format": _FORMATS[name]} if name in _FORMATS else {"type": "string"}


def _nested(name: str, kind: DuckDBPyType) -> dict[str, Any]:
    inner = [(label, _schema(child)) for label, child in members(kind)]
    nullable = {label: {"anyOf": [schema, {"type": "null"}]} for label, schema in inner}
    if name in ("LIST", "ARRAY"):
        return {"type": "array", "items": next(iter(nullable.values()))}
    if name == "MAP":
        return {"type": "object", "additionalProperties": {"anyOf": [inner[1][1], {"type": "null"}]}}
    if name == "TUPLE":
        return {"type": "array"}
    return {"type": "object", "properties": nullable}
