"""The tables that a Python job was given, each by its name, in the form that its author works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from datacanal.formats.sqltext import parsed_type
from datacanal.formats.types import changes
from datacanal.planning.binding import NamedType
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.arrow_pieces import (
    Piece,
    StreamPiece,
    frame_of,
    parquet_dataset,
    parquet_pieces,
    read_frame_of,
    stream_pieces,
)
from datacanal.site.engine.arrow_source import casts, open_stream
from datacanal.site.engine.job_duckdb import arrow_types
from datacanal.site.engine.parquet_source import relation_of
from datacanal.site.engine.python_task import GivenTable
from datacanal.site.engine.specification import ParquetFile, ParquetSource
from datacanal.site.engine.writers import told_apart

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation


class Source(Protocol):
    """Where a table's rows come from."""

    @property
    def schema(self) -> pa.Schema: ...

    def dataset(self) -> ds.Dataset: ...

    def pieces(self) -> Sequence[Piece]: ...

    def relation(self, connection: DuckDBPyConnection) -> DuckDBPyRelation: ...


@dataclass(frozen=True)
class Around:
    """What a table needs of the driver: its DuckDB connection, and Dask set up for what is about to be computed."""

    connection: Callable[[], DuckDBPyConnection]
    join_cluster: Callable[[], object]


class Given:
    """A table that the job declared. Each call reads anew; nothing is kept."""

    def __init__(self, table: GivenTable, stage: Path, around: Around) -> None:
        self._table = table
        self._around = around
        files = [str(stage / file) for file in table.files]
        self._source: Source = (
            _Parquet(files, table.columns, table.partitions)
            if table.format == "parquet"
            else _Stream(files, table.columns)
        )

    @property
    def name(self) -> str:
        """As the job declared it."""
        return self._table.name

    @property
    def columns(self) -> dict[str, str]:
        """The DuckDB type of each column by its name, in their order."""
        return {column.name: column.type for column in self._table.columns}

    def arrow(self) -> ds.Dataset:
        """A `pyarrow.dataset.Dataset`; one of files is read as far as it is asked for."""
        return self._source.dataset()

    def pandas(self) -> pd.DataFrame:
        """The whole table in the driver's memory."""
        return frame_of(self.arrow().to_table())

    def dask(self) -> dd.DataFrame:
        """A Dask DataFrame whose parts the workers read."""
        self._around.join_cluster()
        empty = frame_of(self._source.schema.empty_table())
        pieces = self._source.pieces()
        frame: dd.DataFrame = (
            dd.from_map(read_frame_of, pieces, meta=empty, enforce_metadata=False)  # type: ignore[no-untyped-call]
            if pieces
            else dd.from_pandas(empty, npartitions=1)  # type: ignore[no-untyped-call]  # Dask's own
        )
        return frame

    def duckdb(self) -> DuckDBPyRelation:
        """A relation with the columns' own types; all of a job's relations share one connection."""
        return self._source.relation(self._around.connection())

    def __repr__(self) -> str:
        return f"<{self._table.kind} {self.name}: {', '.join(self.columns)}>"


@dataclass(frozen=True)
class _Parquet:
    files: list[str]
    columns: list[PlanColumn]
    partitions: dict[str, str]

    def dataset(self) -> ds.Dataset:
        if not self.files:
            return ds.dataset(self.schema.empty_table())
        return parquet_dataset(self.files, self.schema, list(self.partitions))

    def pieces(self) -> Sequence[Piece]:
        return parquet_pieces(self.files, self.schema, list(self.partitions)) if self.files else []

    def relation(self, connection: DuckDBPyConnection) -> DuckDBPyRelation:
        columns = [NamedType(name=column.name, type=column.type) for column in self.columns]
        files = [ParquetFile(path=file, etag="") for file in self.files]
        return connection.sql(relation_of(columns, ParquetSource(files=files, partitions=self.partitions)))

    @cached_property
    def schema(self) -> pa.Schema:
        """What Arrow cannot read as DuckDB would hand it over (a UUID, JSON) stays as it is in the files."""
        fields = arrow_types([column.type for column in self.columns], "arrow")
        return pa.schema([self._field(column, field) for column, field in zip(self.columns, fields, strict=True)])

    def _field(self, column: PlanColumn, field: pa.Field) -> pa.Field:
        if changes(parsed_type(column.type), "arrow"):
            for file in self.files:
                stored = pq.read_schema(file)
                if column.name in stored.names:
                    return pa.field(column.name, stored.field(column.name).type)
        return pa.field(column.name, field.type)


class _Stream:
    def __init__(self, files: list[str], columns: list[PlanColumn]) -> None:
        (self._path,) = files
        names = told_apart([column.name for column in columns])
        self._columns = [column.model_copy(update={"name": name}) for column, name in zip(columns, names, strict=True)]

    @cached_property
    def schema(self) -> pa.Schema:
        fields = arrow_types([column.type for column in self._columns], "arrow")
        return pa.schema([field.with_name(column.name) for column, field in zip(self._columns, fields, strict=True)])

    def dataset(self) -> ds.Dataset:
        return ds.dataset(StreamPiece(self._path, 0, None, tuple(self._columns)).table(None))

    def pieces(self) -> Sequence[Piece]:
        return stream_pieces(self._path, self._columns)

    def relation(self, connection: DuckDBPyConnection) -> DuckDBPyRelation:
        with open_stream(self._path) as reader:
            travelled = connection.from_arrow(reader.read_all())
        return travelled.project(casts(self._columns))
