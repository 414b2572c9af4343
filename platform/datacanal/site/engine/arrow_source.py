"""A received or kept Arrow IPC stream as a relation, read back to the DuckDB types that its sender recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from datacanal.domain.errors import EngineFailed
from datacanal.formats.sqltext import type_text
from datacanal.planning.quoting import identifier
from datacanal.protocol.plan import PlanColumn


@contextlib.contextmanager
def open_stream(path: str) -> Iterator[Any]:
    """A `RecordBatchReader` over the stream with its columns renamed c0, c1, …: a stream's names may repeat.

    The file is mapped and decompressed batch by batch, so memory holds one batch whatever the size.
    """
    with contextlib.ExitStack() as stack:
        try:
            # A map of nothing is an error of its own kind; an empty file is simply no stream.
            source = stack.enter_context(pa.memory_map(path)) if Path(path).stat().st_size else pa.BufferReader(b"")
            stream = stack.enter_context(pa.ipc.open_stream(source))
        except (pa.ArrowInvalid, OSError) as error:
            raise EngineFailed(reason="an input is not an Arrow stream") from error
        schema = pa.schema([field.with_name(f"c{position}") for position, field in enumerate(stream.schema)])
        batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in stream)
        yield pa.RecordBatchReader.from_batches(schema, batches)


def check_width(reader: Any, shipped: Sequence[PlanColumn]) -> None:
    """Raise unless the stream has as many columns as its sender said."""
    if len(reader.schema) != len(shipped):
        raise EngineFailed(reason="an input has other columns than the plan says")


def casts(shipped: Sequence[PlanColumn]) -> str:
    """The select list that gives the stream's columns their names and DuckDB types back."""
    return ", ".join(
        f"CAST(c{position} AS {type_text(column.type)}) AS {identifier(column.name)}"
        for position, column in enumerate(shipped)
    )
