"""The parts of a given table that a job's workers read for themselves, and the frames that they become.

A frame's columns have pandas' own types where those hold every value and its NULL (nullable integers and booleans,
texts, times), NaN for a NULL in a floating point column, and are Arrow-backed for all else: a decimal or a date stays
what it is. The types are the column's, not its values': every part of a Dask DataFrame has the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from datacanal.formats.shapes import shaped
from datacanal.formats.sqltext import parsed_type
from datacanal.planning.quoting import identifier
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.arrow_source import casts, check_width, open_stream
from datacanal.site.engine.job_duckdb import own_connection

PIECE_BYTES = 64 * 2**20
_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


class Piece(Protocol):
    """Travels to a worker, and reads there."""

    def table(self, columns: Sequence[str] | None) -> pa.Table:
        """Its rows; all columns where none are named."""
        ...


@dataclass(frozen=True)
class ParquetPiece:
    """Row groups of one file, in the types of the dataset. `keys` are the columns that its folders hold.

    It is no fragment of Arrow's, which opens its file wherever it is pickled: the scheduler, which has no stage, does.
    """

    file: str
    row_groups: tuple[int, ...]
    schema: pa.Schema
    keys: tuple[str, ...]

    def table(self, columns: Sequence[str] | None) -> pa.Table:
        """Read them."""
        (whole,) = parquet_dataset([self.file], self.schema, self.keys).get_fragments()
        part = whole.subset(row_group_ids=self.row_groups)
        return part.to_table(schema=self.schema, columns=None if columns is None else list(columns))


@dataclass(frozen=True)
class StreamPiece:
    """The batches from `first` up to `end` of an Arrow stream whose DuckDB types are `columns`'."""

    path: str
    first: int
    end: int | None
    columns: tuple[PlanColumn, ...]

    def table(self, columns: Sequence[str] | None) -> pa.Table:
        """Read them, in the types that results have in Arrow."""
        with open_stream(self.path) as reader:
            check_width(reader, self.columns)
            batches = itertools.islice(reader, self.first, self.end)
            table = public_table(pa.Table.from_batches(batches, reader.schema), self.columns)
        return table if columns is None else table.select(list(columns))


def public_table(lossless: pa.Table, columns: Sequence[PlanColumn]) -> pa.Table:
    """A table as it travels (columns c0, c1, …) as one that everybody can read."""
    shapes = (
        f"{shaped(identifier(column.name), parsed_type(column.type), 'arrow')} AS {identifier(column.name)}"
        for column in columns
    )
    with own_connection() as connection:
        connection.register("travelled", lossless)
        read = connection.sql(f"SELECT {', '.join(shapes)} FROM (SELECT {casts(columns)} FROM travelled)")
        return read.to_arrow_table()


def stream_pieces(path: str, columns: Sequence[PlanColumn]) -> list[StreamPiece]:
    """A stream cut where its batches fill a piece."""
    with open_stream(path) as reader:
        cuts = list(_cuts(batch.nbytes for batch in reader))
    bounds = itertools.pairwise([0, *cuts, None])
    return [StreamPiece(path, first or 0, end, tuple(columns)) for first, end in bounds]


def _cuts(sizes: Iterator[int]) -> Iterator[int]:
    held = 0
    for position, size in enumerate(sizes):
        if held and held + size > PIECE_BYTES:
            yield position
            held = 0
        held += size


def parquet_dataset(files: Sequence[str], schema: pa.Schema, keys: Sequence[str]) -> Any:
    """At least one file as a dataset of that schema, whose columns `keys` are in the files' paths."""
    folders = ds.partitioning(pa.schema([schema.field(key) for key in keys]), flavor="hive") if keys else None
    return ds.dataset(list(files), schema=schema, format="parquet", partitioning=folders)


def parquet_pieces(files: Sequence[str], schema: pa.Schema, keys: Sequence[str]) -> list[ParquetPiece]:
    """A dataset's files, large ones cut between their row groups."""
    return [
        ParquetPiece(fragment.path, tuple(groups), schema, tuple(keys))
        for fragment in parquet_dataset(files, schema, keys).get_fragments()
        for groups in _grouped(fragment.row_groups)
    ]


def _grouped(row_groups: Sequence[Any]) -> Iterator[list[int]]:
    cuts = [0, *_cuts(group.total_byte_size for group in row_groups), len(row_groups)]
    for first, end in itertools.pairwise(cuts):
        yield [group.id for group in row_groups[first:end]]


def read_frame_of(piece: Piece, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A part of a Dask DataFrame; Dask names the columns where it needs only some."""
    return frame_of(piece.table(columns))


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The table as a frame; categories as their values, for parts of one table may number them differently."""
    frame: pd.DataFrame = without_dictionaries(table).to_pandas(types_mapper=_dtype)
    return frame


def _dtype(kind: pa.DataType) -> Any:
    """None where pandas' choice is right."""
    if kind in _NULLABLE:
        return _NULLABLE[kind]
    of_pandas = (pa.types.is_floating, pa.types.is_string, pa.types.is_timestamp, pa.types.is_duration)
    return None if any(holds(kind) for holds in of_pandas) else pd.ArrowDtype(kind)


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Categories as their values."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields)) if fields != list(table.schema) else table
