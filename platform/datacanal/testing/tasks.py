"""Tasks for tests of pools and kernels: sources from files, statements with their columns bound by DuckDB itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from datacanal.planning.quoting import literal
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.etag import etag_of
from datacanal.site.engine.specification import (
    ArrowSource,
    CountSource,
    ParquetFile,
    ParquetSource,
    Task,
    TaskFormat,
    TaskInput,
)

NOW = "2024-05-06T07:08:09+00:00"


def columns_of(types: Mapping[str, str]) -> list[PlanColumn]:
    """Columns from names and DuckDB types."""
    return [PlanColumn(name=name, type=kind) for name, kind in types.items()]


def write_parquet(path: Path, query: str) -> Path:
    """The query's rows as a Parquet file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")
    return path


def parquet_source(paths: Sequence[Path], partitions: Mapping[str, str] | None = None) -> ParquetSource:
    """The files as they are now."""
    files = [ParquetFile(path=str(path), etag=etag_of(path.stat())) for path in paths]
    return ParquetSource(files=files, partitions=dict(partitions or {}))


def task_input(
    source: ParquetSource | ArrowSource | CountSource,
    types: Mapping[str, str],
    occurrence: str = "occ0",
    lake: str = "transactions",
    dataset: str = "payments",
) -> TaskInput:
    """An input called `occN.lake.dataset`."""
    return TaskInput(occurrence=occurrence, lake=lake, dataset=dataset, columns=columns_of(types), source=source)


def statement_task(
    sql: str,
    columns: Mapping[str, str],
    output: Path,
    inputs: Sequence[TaskInput] = (),
    task_id: str = "task",
    max_output_bytes: int | None = None,
    output_format: TaskFormat = "lossless",
) -> Task:
    """A user's statement."""
    return Task(
        id=task_id,
        sql=sql,
        now=NOW,
        inputs=list(inputs),
        columns=columns_of(columns),
        output=str(output),
        format=output_format,
        max_output_bytes=max_output_bytes,
    )
