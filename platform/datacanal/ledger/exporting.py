"""The events for other systems: CloudEvents 1.0 as lines of JSON, and Parquet with the same columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, func, select

from datacanal.domain.chain import BEGINNING, FIELDS
from datacanal.ledger.chain import stored
from datacanal.ledger.models import EventRow
from datacanal.ledger.paging import in_pages
from datacanal.ledger.verifying import Readable

TYPE = "datacanal.usage.v1"
SOURCE = "urn:datacanal:ledger"
DATA_SCHEMA = "urn:datacanal:schema:usage:v1"
COLUMNS = (*FIELDS, "before", "hash")
"""What of an event is exported: all that is hashed, the hash before it and its own."""
_NUMBERS = {"seq", "calls", "rows", "bytes", "compute_ms", "units", "scan_bytes", "egress_bytes", "worker_ms"}
_TIMES = {"at", "reserved_at"}
_BATCH_ROWS = 10_000
_AT, _ACCOUNT, _ID = FIELDS.index("at"), FIELDS.index("account_id"), FIELDS.index("id")


@dataclass(frozen=True, slots=True)
class Span:
    """Events from `since` on and before `until`, or all."""

    since: datetime | None = None
    until: datetime | None = None


def write_ndjson(store: Readable, span: Span, file: IO[bytes]) -> int:
    """A CloudEvent for each event; gives how many."""
    count = 0
    with store.reading() as connection:
        for event in _exported(connection, span):
            file.write(json.dumps(cloud_event(event), ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
    return count


def write_parquet(store: Readable, span: Span, file: IO[bytes]) -> int:
    """A row for each event; gives how many."""
    schema = pa.schema([(name, _type(name)) for name in COLUMNS])
    count = 0
    with store.reading() as connection, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        events = _exported(connection, span)
        while batch := list(islice(events, _BATCH_ROWS)):
            columns = [_column(name, values) for name, values in zip(COLUMNS, zip(*batch, strict=True), strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            count += len(batch)
    return count


def cloud_event(event: Sequence[Any]) -> dict[str, Any]:
    """The event, its values in the order of `COLUMNS`, as CloudEvents has it."""
    return {
        "specversion": "1.0",
        "id": event[_ID],
        "source": SOURCE,
        "type": TYPE,
        "subject": event[_ACCOUNT],
        "time": event[_AT],
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": dict(zip(COLUMNS, event, strict=True)),
    }


def _exported(connection: Connection, span: Span) -> Iterator[list[Any]]:
    """Times of events never go back, so that a span of time is one of numbers."""
    first, last = _numbers(connection, span)
    before = connection.execute(select(EventRow.hash).where(EventRow.seq == first - 1)).scalar() or BEGINNING
    for row in in_pages(connection, EventRow.seq, (*FIELDS[1:], "hash"), after=first - 1, until=last):
        *values, own = stored(row)
        yield [*values, before, own]
        before = own


def _numbers(connection: Connection, span: Span) -> tuple[int, int]:
    found = select(func.min(EventRow.seq), func.max(EventRow.seq))
    if span.since is not None:
        found = found.where(EventRow.at >= span.since)
    if span.until is not None:
        found = found.where(EventRow.at < span.until)
    first, last = connection.execute(found).one()
    return (1, 0) if first is None else (first, last)


def _type(name: str) -> pa.DataType:
    if name in _TIMES:
        return pa.timestamp("us", "UTC")
    return pa.int64() if name in _NUMBERS else pa.string()


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    plain = [datetime.fromisoformat(value) for value in values] if name in _TIMES else values
    return pa.array(plain, _type(name))
