"""The builder's DuckDB: no network, no extensions, the folders of its order alone; limited memory, a place to spill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from datacanal.formats.closed import CLOSED
from datacanal.planning.quoting import glob_escaped, literal, literals

_OUTSIDE_BUFFERS = 128 * 2**20
"""What Python and DuckDB take beside DuckDB's own account of memory: measured with five million rows."""


def connect(memory_bytes: int, threads: int, spill: Path, folders: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """A connection that can read and write the folders. `memory_bytes` is meant for the whole process."""
    connection = duckdb.connect(":memory:")
    for statement in (
        *CLOSED,
        f"SET memory_limit = '{max(memory_bytes - _OUTSIDE_BUFFERS, memory_bytes // 2)}B'",
        f"SET threads = {threads}",
        "SET preserve_insertion_order = false",
        f"SET temp_directory = {literal(str(spill))}",
        f"SET allowed_directories = {literals(map(str, folders))}",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def parquet(file: Path) -> str:
    """The file as a relation of SQL, whatever its name holds."""
    return f"read_parquet({literal(glob_escaped(str(file)))}, hive_partitioning = false)"


def one_row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...]:
    """The single row of an aggregate."""
    (row,) = connection.execute(sql).fetchall()
    return tuple(row)


def one_number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The single whole number of an aggregate."""
    (value,) = one_row(connection, sql)
    return int(str(value))
