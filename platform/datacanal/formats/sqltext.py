"""Types as SQL text: what comes from outside is spliced only as DuckDB itself prints it."""

from __future__ import annotations

import duckdb
from duckdb.sqltypes import DuckDBPyType


def parsed_type(text: str) -> DuckDBPyType:
    """The DuckDB type of that text. Raises `duckdb.InvalidInputException` where it is none."""
    return duckdb.sqltype(text)


def type_text(text: str) -> str:
    """The type as DuckDB itself prints it: what was not a type's text does not survive this."""
    return str(parsed_type(text))
