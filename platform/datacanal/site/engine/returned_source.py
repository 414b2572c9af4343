"""What a job's driver sent, as a relation. It may be anything: cut off, lying about its lengths, or no Arrow at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from datacanal.domain.errors import ContractBroken, PythonReturnedNoTable
from datacanal.protocol.plan import PlanColumn


@contextlib.contextmanager
def open_returned(path: str, contract: Sequence[PlanColumn]) -> Iterator[Any]:
    """A `RecordBatchReader` with columns c0, c1, …, each batch proven to be what it says before it is used.

    Raises `ContractBroken` for other columns than declared, and `PythonReturnedNoTable`, here or while it is read: in
    the place of whatever an engine makes of that.
    """
    file = Path(path)
    if not file.exists() or not file.stat().st_size:
        raise PythonReturnedNoTable
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(pa.ipc.open_stream(stack.enter_context(pa.memory_map(path))))
            names = stream.schema.names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise PythonReturnedNoTable from error
        if names != [column.name for column in contract]:
            raise ContractBroken(columns=", ".join(f"{column.name} {column.type}" for column in contract))
        schema = pa.schema([field.with_name(f"c{number}") for number, field in enumerate(stream.schema)])
        failures: list[PythonReturnedNoTable] = []
        try:
            yield pa.RecordBatchReader.from_batches(schema, _proven(stream, schema, failures))
        except Exception as error:
            if failures:
                raise failures[0] from error
            raise


def _proven(stream: Any, schema: pa.Schema, failures: list[PythonReturnedNoTable]) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = stream.read_next_batch()
            batch.validate(full=True)
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            failures.append(PythonReturnedNoTable())
            raise failures[0] from error
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
