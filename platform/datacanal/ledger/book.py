"""Append events to the book: numbered without gaps, in the order of time, each chained to the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from datacanal.domain.usage import EventKind, Outcome
from datacanal.ledger.chain import link
from datacanal.ledger.models import BookRow, EventRow


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it is in the book: every column of `EventRow` but number, time and hash."""

    id: str
    kind: EventKind
    outcome: Outcome
    tenant: str
    principal: str
    account_id: str
    request_id: str
    reserved_at: datetime
    unit: str
    subscription_id: str | None = None
    key_id: str | None = None
    product: str | None = None
    version: str | None = None
    snapshot: str | None = None
    query_digest: str | None = None
    policy_digest: str | None = None
    tariff_id: str | None = None
    calls: int = 0
    rows: int = 0
    bytes: int = 0
    compute_ms: int = 0
    units: int = 0
    scan_bytes: int = 0
    egress_bytes: int = 0
    worker_ms: int = 0
    corrects: str | None = None
    reason: str | None = None


def append(connection: Connection, drafts: Sequence[Draft], now: datetime) -> datetime:
    """Write the events, inside a writing transaction; gives their common time.

    The time is never before that of the last event, nor before the end of a closed period.
    """
    if not drafts:
        return now
    book = connection.execute(select(BookRow.seq, BookRow.head, BookRow.at, BookRow.closed_until)).one()
    at: datetime = max(now, book.at, book.closed_until)
    seq, head = book.seq, book.head
    rows: list[dict[str, Any]] = []
    for draft in drafts:
        seq += 1
        row = {**asdict(draft), "seq": seq, "at": at}
        row["hash"] = head = link(head, row)
        rows.append(row)
    connection.execute(insert(EventRow), rows)
    connection.execute(update(BookRow).values(seq=seq, head=head, at=at))
    return at
