"""DuckDB as the reader of snapshots: one hardened database in memory, a cursor of its own for each read."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.closed import CLOSED
from datacanal.planning.quoting import glob_escaped, literal, literals
from datacanal.products.reading_sql import Statement
from datacanal.products.reading_stop import ReadStopped, Stop

_BATCH_ROWS = 16_384


class Database:
    """It reads below `store`, writes below `scratch` alone, and its settings can be changed by nobody."""

    def __init__(self, store: Path, scratch: Path, memory_bytes: int, threads: int) -> None:
        self._database = duckdb.connect(":memory:")
        for statement in _settings(store, scratch, memory_bytes, threads):
            self._database.execute(statement)

    def batches(self, statement: Statement, stop: Stop) -> Generator[pa.RecordBatch]:
        """The rows, as they are found. Raises `ReadStopped`."""
        with self._database.cursor() as cursor, stop.interrupting(cursor.interrupt):
            try:
                yield from cursor.sql(statement.sql, params=statement.parameters).to_arrow_reader(_BATCH_ROWS)
            except duckdb.InterruptException:
                raise ReadStopped from None

    def number(self, statement: Statement, stop: Stop) -> int:
        """The one number that the statement gives."""
        with self._database.cursor() as cursor, stop.interrupting(cursor.interrupt):
            try:
                row = cursor.execute(statement.sql, statement.parameters).fetchone()
            except duckdb.InterruptException:
                raise ReadStopped from None
        return int(row[0]) if row else 0

    def schema(self, file: Path) -> pa.Schema:
        """The file's columns as DuckDB hands them out in Arrow."""
        with self._database.cursor() as cursor:
            return cursor.sql(f"FROM read_parquet({literal(glob_escaped(str(file)))}) LIMIT 0").to_arrow_table().schema

    def computed(self, expression: str, column: pa.Array, kind: DuckDBPyType) -> list[str]:
        """The text that the expression over `"c"` gives for each of the column's values."""
        if column.offset:
            # DuckDB refuses members that begin in the middle of what they are a slice of.
            column = column.take(pa.array(range(len(column)), pa.int64()))
        with self._database.cursor() as cursor:
            cursor.register("given", pa.table({"c": column}))
            inner = f"SELECT CAST(c AS {kind}) AS c FROM given"
            found = cursor.sql(f"SELECT {expression} AS t FROM ({inner})").to_arrow_table()
        return list(found.column(0).to_pylist())

    def close(self) -> None:
        """Reads that still run fail."""
        self._database.close()


def _settings(store: Path, scratch: Path, memory_bytes: int, threads: int) -> list[str]:
    return [
        *CLOSED,
        "SET enable_progress_bar = false",
        f"SET memory_limit = '{memory_bytes}B'",
        f"SET threads = {threads}",
        f"SET temp_directory = {literal(str(scratch))}",
        # Snapshots never change, so neither do their footers.
        "SET parquet_metadata_cache = true",
        f"SET allowed_directories = {literals([str(store), glob_escaped(str(store)), str(scratch)])}",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]
