"""Empty tables in the place of datasets: what a statement is bound over, so that nothing is read to understand it.

The binder asks over them in its child; a kernel does on its own connection, before it attaches the real inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

import duckdb

from datacanal.domain.errors import DoesNotBind
from datacanal.planning.bind_errors import translate
from datacanal.planning.binding import BASE_SCHEMA, BASE_TABLE, BoundTable, column_prefix
from datacanal.planning.quoting import identifier
from datacanal.planning.text import lexemes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextlib.contextmanager
def stand_ins(connection: DuckDBPyConnection, tables: Sequence[BoundTable], prefix: str) -> Iterator[None]:
    """The tables, each a view in a catalog of its own over an empty base table, and none of them afterwards.

    `prefix` begins the names of base columns, see `column_prefix`. Raises a `StatementError` for a bad type or name.
    """
    attached: list[str] = []
    try:
        for table in tables:
            attached.append(identifier(table.occurrence))
            _attach(connection, table, prefix)
        yield
    finally:
        for catalog in attached:
            connection.execute(f"DETACH DATABASE IF EXISTS {catalog}")


class KeptStandIns:
    """The tables of one request, which stay until the next: those that it asks for alike need not be made again."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._kept: dict[str, tuple[BoundTable, str]] = {}

    def become(self, tables: Sequence[BoundTable], prefix: str) -> None:
        """Have exactly these tables attached. Raises as `stand_ins` does."""
        wanted = {table.occurrence: (table, prefix) for table in tables}
        for occurrence in [name for name, kept in self._kept.items() if wanted.get(name) != kept]:
            self._connection.execute(f"DETACH DATABASE IF EXISTS {identifier(occurrence)}")
            del self._kept[occurrence]
        for occurrence, (table, _) in wanted.items():
            if occurrence not in self._kept:
                self._keep(occurrence, table, prefix)

    def _keep(self, occurrence: str, table: BoundTable, prefix: str) -> None:
        try:
            _attach(self._connection, table, prefix)
        except BaseException:
            self._connection.execute(f"DETACH DATABASE IF EXISTS {identifier(occurrence)}")
            raise
        self._kept[occurrence] = (table, prefix)


def _attach(connection: DuckDBPyConnection, table: BoundTable, prefix: str) -> None:
    try:
        connection.execute(_statements(table, column_prefix(prefix, table.occurrence)))
    except duckdb.Error as error:
        raise translate(error, [table]) from None


def _statements(table: BoundTable, prefix: str) -> str:
    for column in table.columns:
        _check_type(column.type)
    catalog = identifier(table.occurrence)
    base, schema = f"{catalog}.{identifier(BASE_SCHEMA)}", f"{catalog}.{identifier(table.lake)}"
    rows = f"{base}.{BASE_TABLE}"
    columns = ", ".join(f"{prefix}{number} {column.type}" for number, column in enumerate(table.columns))
    names = ", ".join(f"{prefix}{number} AS {identifier(column.name)}" for number, column in enumerate(table.columns))
    return (
        f"ATTACH ':memory:' AS {catalog}; CREATE SCHEMA {base}; CREATE TABLE {rows} ({columns}); "  # noqa: S608
        f"CREATE SCHEMA IF NOT EXISTS {schema}; "
        f"CREATE VIEW {schema}.{identifier(table.dataset)} AS SELECT {names} FROM {rows}"
    )  # S608: every name is quoted, every type checked


@cache
def _check_type(text: str) -> None:
    """A type comes from a site's report: it must be one type and nothing behind it."""
    depth = 0
    for kind, lexeme in lexemes(text):
        depth += (lexeme in "([") - (lexeme in ")]") if kind == "other" else 0
        if depth < 0 or (kind == "other" and (lexeme == ";" or (lexeme == "," and depth == 0))):
            raise DoesNotBind(reason=f"{text!r} is not a column type")
