"""A task's inputs as views `occN.lake.dataset` on its connection."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from datacanal.domain.errors import EngineFailed
from datacanal.formats.sqltext import type_text
from datacanal.planning.binding import NamedType
from datacanal.planning.quoting import identifier
from datacanal.site.engine.arrow_source import casts, check_width, open_stream
from datacanal.site.engine.governed_source import governed_relation, needs_barrier
from datacanal.site.engine.parquet_source import relation_of
from datacanal.site.engine.returned_source import open_returned
from datacanal.site.engine.snapshots import HeldFile, held_open
from datacanal.site.engine.specification import ArrowSource, CountSource, ParquetSource, ReturnedSource, Task, TaskInput

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_CATALOG = "datacanal_rows"
"""Catalog of the tables that received streams are loaded into; the gate lets no statement name it."""


class Inputs:
    """The inputs of one task on one connection; use it as a context, files and streams close at its end."""

    def __init__(self, connection: DuckDBPyConnection, lakes: list[str]) -> None:
        self.held: list[HeldFile] = []
        self._connection = connection
        self._lakes = lakes
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def attach(self, task: Task) -> None:
        """Make every view. Raises `SnapshotChanged`, `DatasetUnreadable` or `EngineFailed`, or what DuckDB raises."""
        barrier = needs_barrier(self._connection, task)
        if any(not isinstance(given.source, ParquetSource) for given in task.inputs):
            self._connection.execute(f"ATTACH ':memory:' AS {ROWS_CATALOG}")
        for given in task.inputs:
            self._view(given, self._relation(given, streamed=not task.gated, barrier=barrier))

    def check(self) -> None:
        """Raise `SnapshotChanged` if a file that was read is no longer the pinned one."""
        for held in self.held:
            held.check()

    def _view(self, given: TaskInput, relation: str) -> None:
        schema = f"{identifier(given.occurrence)}.{identifier(given.lake)}"
        self._connection.execute(
            f"ATTACH ':memory:' AS {identifier(given.occurrence)}; CREATE SCHEMA IF NOT EXISTS {schema}; "
            f"CREATE VIEW {schema}.{identifier(given.dataset)} AS {relation}"
        )

    def _relation(self, given: TaskInput, *, streamed: bool, barrier: bool) -> str:
        match given.source:
            case ParquetSource() as source:
                name = f"{given.lake}.{given.dataset}"
                self.held += self._stack.enter_context(held_open(name, source.files, self._lakes))
                if given.rules is not None:
                    return governed_relation(given, source, barrier=barrier)
                return relation_of([NamedType(name=each.name, type=each.type) for each in given.columns], source)
            case ArrowSource() as source:
                return f"SELECT {_padded(given, source)} FROM {self._rows(given, source, streamed=streamed)}"
            case ReturnedSource() as source:
                reader = self._stack.enter_context(open_returned(source.path, given.columns))
                return f"SELECT {casts(given.columns)} FROM {self._streamed(given, reader)}"
            case CountSource() as source:
                return f"SELECT {_nulls(given)} FROM range({self._count(source)})"

    def _rows(self, given: TaskInput, source: ArrowSource, *, streamed: bool) -> str:
        """The stream as a table that can be read often and has statistics, or, `streamed`, as it is: once."""
        reader = self._stack.enter_context(open_stream(source.path))
        check_width(reader, source.shipped)
        if streamed:
            return f"(SELECT {casts(source.shipped)} FROM {self._streamed(given, reader)})"
        stream = f"{given.occurrence}_stream"
        self._connection.register(stream, reader)
        table = f"{ROWS_CATALOG}.main.{identifier(given.occurrence)}"
        self._connection.execute(f"CREATE TABLE {table} AS SELECT {casts(source.shipped)} FROM {identifier(stream)}")
        self._connection.unregister(stream)
        return table

    def _streamed(self, given: TaskInput, reader: Any) -> str:
        """The stream as a relation that can be read once."""
        stream = f"{given.occurrence}_stream"
        self._connection.register(stream, reader)
        self._stack.callback(self._connection.unregister, stream)
        return identifier(stream)

    def _count(self, source: CountSource) -> int:
        with open_stream(source.path) as reader:
            rows = reader.read_all()
        if rows.num_rows != 1 or rows.num_columns != 1:
            raise EngineFailed(reason="an input is not a count")
        return int(rows.column(0)[0].as_py())


def _padded(given: TaskInput, source: ArrowSource) -> str:
    shipped = {column.name for column in source.shipped}
    return ", ".join(
        identifier(column.name)
        if column.name in shipped
        else f"CAST(NULL AS {type_text(column.type)}) AS {identifier(column.name)}"
        for column in given.columns
    )


def _nulls(given: TaskInput) -> str:
    return ", ".join(f"CAST(NULL AS {type_text(column.type)}) AS {identifier(column.name)}" for column in given.columns)
