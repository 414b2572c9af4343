"""The files that outputs are: Arrow streams, Parquet, and lines of text, each written batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import RawIOBase
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from datacanal.formats.types import TYPE_KEY
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.output import OutputFile

BATCH_ROWS = 4096
"""Rows that DuckDB hands over at once: few, so that wide rows do not fill memory."""
_CHUNK_BYTES = 8 * 2**20
_CHUNK_ROWS = 122_880
_NONE: Mapping[str, str] = MappingProxyType({})


def write_arrow(
    reader: Any, output: OutputFile | RawIOBase, columns: Sequence[PlanColumn], metadata: Mapping[str, str] = _NONE
) -> int:
    """A zstd Arrow IPC stream with that metadata on its schema; the fields' metadata hold the DuckDB types.

    Gives the rows, as all writers do.
    """
    schema = named_schema(reader.schema, columns).with_metadata(dict(metadata) or None)
    rows = 0
    with pa.ipc.new_stream(output, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        for chunk in chunks(reader):
            stream.write_batch(pa.RecordBatch.from_arrays(chunk.columns, schema=schema))
            rows += chunk.num_rows
    return rows


def write_parquet(reader: Any, output: OutputFile, columns: Sequence[PlanColumn]) -> int:
    """A zstd Parquet file. Repeated names get a number, as Parquet readers look columns up by name."""
    # Only exports to Parquet pay for loading this part of pyarrow.
    import pyarrow.parquet as pq

    names = told_apart([column.name for column in columns])
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    rows = 0
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for chunk in chunks(reader):
            writer.write_batch(pa.RecordBatch.from_arrays(chunk.columns, schema=schema))
            rows += chunk.num_rows
    return rows


def write_csv(reader: Any, output: OutputFile, columns: Sequence[PlanColumn]) -> int:
    """A header and one line per row of a reader whose one column holds finished lines."""
    header = ",".join('"' + column.name.replace('"', '""') + '"' for column in columns)
    output.write(header.encode() + b"\n")
    return sum(_write_lines(batch, output) for batch in reader)


def write_json(reader: Any, output: OutputFile) -> int:
    """An array of the objects in the reader's one column, whose lines each begin with a comma and a newline."""
    rows = 0
    for batch in reader:
        if batch.num_rows:
            rows += _write_lines(batch, output, skip=0 if rows else 1, prefix=b"" if rows else b"[")
    output.write(b"\n]\n" if rows else b"[]\n")
    return rows


def named_schema(schema: pa.Schema, columns: Sequence[PlanColumn]) -> pa.Schema:
    """The schema with the columns' names, possibly repeated ones, and their DuckDB types."""
    return pa.schema(
        [
            pa.field(column.name, field.type, field.nullable, {**(field.metadata or {}), TYPE_KEY: column.type})
            for field, column in zip(schema, columns, strict=True)
        ]
    )


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, later ones of the same name numbered: a, a_1, a_2."""
    taken = set(names)
    seen: set[str] = set()
    return [_free(name, seen, taken) for name in names]


def _free(name: str, seen: set[str], taken: set[str]) -> str:
    candidate, number = name, 0
    while candidate in seen or (number and candidate in taken):
        number += 1
        candidate = f"{name}_{number}"
    seen.add(candidate)
    return candidate


def chunks(reader: Iterable[Any]) -> Iterator[Any]:
    """The reader's batches, small ones joined: larger batches compress better and cost less each."""
    pending: list[Any] = []
    held_bytes = rows = 0
    for batch in reader:
        pending.append(batch)
        held_bytes += batch.nbytes
        rows += batch.num_rows
        if held_bytes >= _CHUNK_BYTES or rows >= _CHUNK_ROWS:
            yield pa.concat_batches(pending)
            pending, held_bytes, rows = [], 0, 0
    if pending:
        yield pa.concat_batches(pending)


def _write_lines(batch: Any, output: OutputFile, *, skip: int = 0, prefix: bytes = b"") -> int:
    """Write a string column's characters as they lie in memory: lines that end or begin themselves need no join."""
    column = batch.column(0)
    _, offsets, data = column.buffers()
    bounds = memoryview(offsets).cast("i")[column.offset : column.offset + len(column) + 1]
    if len(column):
        output.write(prefix)
        output.write(memoryview(data)[bounds[0] + skip : bounds[-1]])
    return len(column)


def metadata_type(field: pa.Field) -> str:
    """The DuckDB type that a sender recorded on the field."""
    return str((field.metadata or {})[TYPE_KEY].decode())
