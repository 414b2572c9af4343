"""Names, values and types as SQL text, each made safe for splicing. Nothing else may build SQL from outside text."""

from __future__ import annotations

import duckdb
from duckdb.sqltypes import DuckDBPyType


def identifier(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: list[str]) -> str:
    """A list of quoted strings."""
    return "[" + ", ".join(map(literal, values)) + "]"


def parsed_type(text: str) -> DuckDBPyType:
    """The DuckDB type of that text. Raises `duckdb.InvalidInputException` where it is none."""
    return duckdb.sqltype(text)


def type_text(text: str) -> str:
    """The type as DuckDB itself prints it: what was not a type's text does not survive this."""
    return str(parsed_type(text))


def glob_escaped(path: str) -> str:
    """A path that names itself where DuckDB reads globs."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
