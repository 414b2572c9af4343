"""From the lossless Arrow types of the wire to types that every Arrow tool can compute with.

DuckDB sends 128-bit integers as opaque bytes; they are given out as decimal128(38, 0), the same 16 bytes. Other
opaque types (BIT, TIMETZ) are given out as what stores them. UUID stays Arrow's own type for it.
"""

from __future__ import annotations

import pyarrow as pa

_HUGE = ("hugeint", "uhugeint")
_DECIMAL = pa.decimal128(38, 0)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that `plain_batch` gives."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema], metadata=schema.metadata)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same values in plain types; nothing is copied."""
    columns = [_plain_array(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=plain_schema(batch.schema))


def _plain_type(given: pa.DataType) -> pa.DataType:
    if not isinstance(given, pa.OpaqueType):
        return given
    return _DECIMAL if given.type_name in _HUGE else given.storage_type


def _plain_array(column: pa.Array) -> pa.Array:
    if not isinstance(column.type, pa.OpaqueType):
        return column
    storage = column.storage
    if column.type.type_name not in _HUGE:
        return storage
    return pa.Array.from_buffers(_DECIMAL, len(storage), storage.buffers(), offset=storage.offset)
