"""The rules by which DuckDB's types leave: one table for the leaves, and what a nested type is made of.

`docs/types.md` says the same for people; a test holds the two together. A leaf's rule per format:

- `lossless`, `arrow`, `parquet`: the DuckDB type to cast to, or None where the value leaves as it is;
- `text`: how JSON writes it (CSV writes the same text without JSON's quotes): `plain` as it prints, `wide` as it
  prints up to 2^53 and as a string beyond, `real` as it prints but NaN and the infinities as strings, `string` as a
  string of what DuckDB prints, which a CAST reads back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from duckdb.sqltypes import DuckDBPyType

ColumnarFormat = Literal["lossless", "arrow", "parquet"]
Text = Literal["plain", "wide", "real", "string"]


@dataclass(frozen=True)
class Rule:
    text: Text
    lossless: str | None = None
    arrow: str | None = None
    parquet: str | None = None

    def cast(self, target: ColumnarFormat) -> str | None:
        """The DuckDB type that a value is cast to before it leaves in that format."""
        return {"lossless": self.lossless, "arrow": self.arrow, "parquet": self.parquet}[target]


TYPE_KEY = b"datacanal.type"
"""Metadata of an Arrow field that holds the DuckDB type."""

_AS_TEXT = Rule("string", arrow="VARCHAR", parquet="VARCHAR")
_AS_IS = Rule("string")
_SMALL = Rule("plain")
_HUGE = Rule("wide", arrow="DECIMAL(38,0)", parquet="DECIMAL(38,0)")

RULES: dict[str, Rule] = {
    "BOOLEAN": _SMALL,
    "TINYINT": _SMALL,
    "SMALLINT": _SMALL,
    "INTEGER": _SMALL,
    "UTINYINT": _SMALL,
    "USMALLINT": _SMALL,
    "UINTEGER": _SMALL,
    "BIGINT": Rule("wide"),
    "UBIGINT": Rule("wide"),
    "HUGEINT": _HUGE,
    "UHUGEINT": _HUGE,
    "BIGNUM": _AS_TEXT,
    "DECIMAL": _AS_IS,
    "FLOAT": Rule("real"),
    "DOUBLE": Rule("real"),
    "VARCHAR": _AS_IS,
    "JSON": _AS_TEXT,
    "BLOB": _AS_IS,
    "BIT": _AS_TEXT,
    "UUID": _AS_TEXT,
    # A list of ENUM that happens to be empty in a batch cannot be read back from Arrow, so it travels as text.
    "ENUM": Rule("string", lossless="VARCHAR", parquet="VARCHAR"),
    "DATE": _AS_IS,
    "TIME": _AS_IS,
    "TIME_NS": _AS_IS,
    "TIME WITH TIME ZONE": _AS_TEXT,
    "TIMESTAMP": _AS_IS,
    "TIMESTAMP_S": _AS_IS,
    "TIMESTAMP_MS": _AS_IS,
    "TIMESTAMP_NS": _AS_IS,
    "TIMESTAMP WITH TIME ZONE": _AS_IS,
    "TIMESTAMPTZ_NS": _AS_IS,
    "INTERVAL": Rule("string", parquet="VARCHAR"),
    "GEOMETRY": _AS_TEXT,
    "VARIANT": _AS_TEXT,
    '"NULL"': Rule("string", parquet="INTEGER"),
}
"""By the type's name without its parameters. `TYPE` is missing: Arrow has no form for it, so no column can have it."""

NESTED = ("STRUCT", "TUPLE", "LIST", "ARRAY", "MAP", "UNION")


def name_of(kind: DuckDBPyType) -> str:
    """The name that `RULES` or `NESTED` know the type by."""
    if kind.id in ("decimal", "enum", *(name.lower() for name in NESTED)):
        return str(kind.id).upper()
    return str(kind)


def members(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Names and types of a nested type's members; for a UNION without its tag, for an ARRAY without its size."""
    # DuckDB declares a union of what all nested types may have; only an ARRAY's size is no type, and it is left out.
    children = cast("list[tuple[str, DuckDBPyType]]", kind.children)
    match name_of(kind):
        case "UNION":
            return list(children[1:])
        case "ARRAY":
            return [children[0]]
        case "TUPLE":
            return [(f"element{position}", child) for position, (_, child) in enumerate(children, 1)]
    return list(children)


def changes(kind: DuckDBPyType, target: ColumnarFormat) -> bool:
    """Whether a value of the type leaves in another shape than it has."""
    name = name_of(kind)
    if name not in NESTED:
        return RULES[name].cast(target) is not None
    if target != "lossless" and (name in ("UNION", "TUPLE") or (name == "ARRAY" and target == "parquet")):
        return True
    return any(changes(child, target) for _, child in members(kind))
