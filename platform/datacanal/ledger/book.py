"""Append events to the book: numbered without gaps, in the order of time, each chained to the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, update

from datacanal.domain.chain import FIELDS, canonical_of_call, digest_of, follow, instant
from datacanal.domain.usage import Amounts
from datacanal.ledger.models import BookRow, EventRow
from datacanal.ledger.prepared import Lookup, write_of
from datacanal.ledger.tallies import count


class Draft(NamedTuple):
    """An event before it is in the book: every column of `EventRow` but number, time and hash.

    `kind` is an `EventKind`, `outcome` an `Outcome`.
    """

    id: str
    kind: str
    outcome: str
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


@dataclass(frozen=True, slots=True)
class End:
    """Where the book ends: the last event's number, hash and time, until when periods are closed, who wrote last."""

    seq: int
    head: str
    at: datetime
    closed_until: datetime
    writer: str

    def next_at(self, now: datetime) -> datetime:
        """The time of an event written now: never before the last one's, nor before the end of a closed period."""
        return max(now, self.at, self.closed_until)


def append(connection: Connection, drafts: Sequence[Draft], now: datetime) -> datetime:
    """Write the events, inside a writing transaction, and count them; gives their common time, `End.next_at`."""
    if not drafts:
        return now
    end = end_of(connection)
    extend(connection, end, drafts, now)
    count(connection, [(each.subscription_id, each.reserved_at, amounts_of(each)) for each in drafts])
    return end.next_at(now)


def amounts_of(draft: Draft) -> Amounts:
    """What meters count of the event."""
    return Amounts(draft.calls, draft.rows, draft.bytes, draft.compute_ms)


def end_of(connection: Connection) -> End:
    """Where the book ends, inside a transaction."""
    return End(*_BOOK.rows(connection, [(1,)])[0])


def say_writer(connection: Connection, writer: str = "") -> None:
    """Name the transaction as the last one; without a name it is nobody's who keeps anything."""
    _WRITER.run(connection, [(writer,)])


def extend(connection: Connection, end: End, drafts: Sequence[Draft], now: datetime) -> End:
    """Write the events after the end that was read in the same transaction, uncounted; gives the end after them."""
    if not drafts:
        return end
    at = end.next_at(now)
    at_text = instant(at)
    seq, head = end.seq, end.head
    rows: list[tuple[Any, ...]] = []
    for draft in drafts:
        seq += 1
        said, rest, reserved_at = (seq, draft.id, str(draft.kind), str(draft.outcome)), _REST(draft), draft.reserved_at
        head = follow(head, digest_of(canonical_of_call((*said, at_text, _text(reserved_at), *rest))))
        rows.append((*said, at, reserved_at, *rest, head))
    _EVENTS.run(connection, rows)
    _END.run(connection, [(seq, head, at)])
    return End(seq, head, at, end.closed_until, end.writer)


_text = lru_cache(256)(instant)
_REST = itemgetter(*(Draft._fields.index(name) for name in FIELDS[6:]))
_BOOK = Lookup([BookRow.seq, BookRow.head, BookRow.at, BookRow.closed_until, BookRow.writer], [BookRow.id])
_EVENTS = write_of(insert(EventRow), (*FIELDS, "hash"))
_END = write_of(update(BookRow), ("seq", "head", "at"))
_WRITER = write_of(update(BookRow), ("writer",))
