"""A writing transaction of the meter: what of the book it read, and what it writes at its end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from datacanal.domain.usage import Amounts, Terms
from datacanal.ledger import book
from datacanal.ledger.book import Draft
from datacanal.ledger.burst_rows import BurstRows
from datacanal.ledger.charges import Charge, Left
from datacanal.ledger.charging import Counted
from datacanal.ledger.entry import Entry
from datacanal.ledger.holds import Held, Holds
from datacanal.ledger.kept import Kept
from datacanal.ledger.known import Known, Request, UnderWay, known_of, read_known, read_under_way, request_after
from datacanal.ledger.models import EventRow
from datacanal.ledger.noticing import notice_passed
from datacanal.ledger.prepared import Lookup
from datacanal.ledger.shelf import Shelf
from datacanal.ledger.tallies import Tallies

_NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an event says of how its call ended."""

    at: datetime
    outcome: str
    units: int
    amounts: Amounts


@dataclass
class Reads:
    """What a transaction will need, so that it is read at once."""

    are_new: bool = False
    charges: list[Charge] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    counted: set[tuple[str, datetime]] = field(default_factory=set)


class Page:
    """The book while calls are charged, one after another; `write` at the end."""

    def __init__(self, connection: Connection, now: datetime, kept: Kept | None = None) -> None:
        """`kept` is what the transaction before left there, of the same caller."""
        self.connection = connection
        self.now = now
        self.end = book.end_of(connection)
        self._kept = kept or Kept()
        self._kept.begin(self.end.writer)
        self.entry = Entry(connection, now, self._kept)
        self.bursts = BurstRows(connection, now, self._kept)
        self.holds = Holds(connection)
        self.tallies = Tallies(connection, self._write_calls, self._kept)
        self._known: Shelf[Request, Known] = Shelf(lambda keys: read_known(connection, keys))
        self._under_way: Shelf[Request, UnderWay] = Shelf(lambda keys: read_under_way(connection, keys))
        self._drafts: list[Draft] = []
        self._fresh: dict[Request, Draft] = {}
        self.at = self.end.next_at(now)
        """The time of the events that are written."""

    def fetch(self, reads: Reads) -> None:
        """Read what is needed, one statement for each kind of row."""
        charges = reads.charges
        if reads.are_new:
            charges = [each for each in charges if each.is_keyed]
            ours = [(each.terms.account, each.request) for each in reads.charges if not each.is_keyed]
            self._known.put_absent(ours)
            self._under_way.put_absent(ours)
        requests = [(each.terms.account, each.request) for each in charges]
        self._known.fetch(requests)
        self._under_way.fetch([(whose, request_after(self._known.get((whose, it)), it)) for whose, it in requests])
        self.entry.fetch(reads.charges)
        self.holds.fetch(reads.receipts)
        subscribed = {each.terms.subscription for each in reads.charges if each.terms.subscription}
        self.tallies.fetch(reads.counted | {(each, self.now) for each in subscribed})
        self.bursts.fetch([each.terms for each in reads.charges])

    def known(self, charge: Charge) -> Known | None:
        """What was charged under the call's request id."""
        request = (charge.terms.account, charge.request)
        fresh = self._fresh.pop(request, None)
        if fresh is not None:
            self._remember(request, fresh)
        return self._known.get(request)

    def under_way(self, charge: Charge, known: Known | None) -> UnderWay | None:
        """What is being answered under it, after what is known."""
        return self._under_way.get((charge.terms.account, request_after(known, charge.request)))

    def event(self, receipt: str) -> Recorded | None:
        """What was written under the receipt before."""
        rows = _RECORDED.rows(self.connection, [(receipt,)])
        return next((Recorded(at, outcome, units, Amounts(*amounts)) for at, outcome, units, *amounts in rows), None)

    def counted(self, terms: Terms, at: datetime) -> list[Counted]:
        """The quotas with their meters."""
        return self.tallies.counted(terms, at)

    def left(self, terms: Terms, counted: Sequence[Counted]) -> tuple[Left, ...]:
        """What is left of the burst and of the quotas."""
        now = self.now
        return (*self.bursts.left(terms), *[each.left(now) for each in counted])

    def hold(self, held: Held) -> None:
        """Reserve."""
        draft = held.draft
        self.holds.add(held)
        self._under_way.put(
            (draft.account_id, draft.request_id), UnderWay(draft.id, draft.product or "", draft.query_digest or "")
        )
        self._grow_held(draft, held.amounts)

    def hold_more(self, held: Held, more: Amounts) -> None:
        """Reserve more under a hold."""
        self.holds.change(held.with_more(more))
        self._grow_held(held.draft, more)

    def settle(self, held: Held, event: Draft) -> None:
        """A hold becomes its event, and what it held beyond that is given back."""
        self.holds.remove(held)
        self._under_way.put((event.account_id, event.request_id), None)
        self._grow_held(event, _NOTHING - held.amounts)
        self.record(event)

    def record(self, event: Draft) -> None:
        """An event, written at the end."""
        self._drafts.append(event)
        if event.corrects is None:
            self._fresh[(event.account_id, event.request_id)] = event  # nearly always nobody asks for it any more
        else:
            self._remember((event.account_id, event.request_id.partition("#")[2]), event)
        if event.subscription_id is not None:
            self.tallies.grow_used(event.subscription_id, event.reserved_at, event)

    def notice(self, terms: Terms, counted: Collection[Counted]) -> None:
        """Tell the account of quotas that are nearly or wholly used."""
        notice_passed(self.connection, self.tallies, terms, counted, self.now)

    def write(self) -> None:
        """Write all that changed."""
        self._write_calls()
        self.tallies.write()
        self.entry.write()
        self.bursts.write()
        book.say_writer(self.connection, self._kept.next_writer())

    def _grow_held(self, call: Draft, held: Amounts) -> None:
        if call.subscription_id is not None:
            self.tallies.grow_held(call.subscription_id, call.reserved_at, held)

    def _remember(self, request: Request, event: Draft) -> None:
        later = known_of(event)
        before = self._known.get(request) if event.corrects else None
        self._known.put(request, later if before is None else before.and_then(later))

    def _write_calls(self) -> None:
        self.holds.write()
        self.end = book.extend(self.connection, self.end, self._drafts, self.now)
        self._drafts.clear()


_RECORDED = Lookup(
    [EventRow.at, EventRow.outcome, EventRow.units, EventRow.calls, EventRow.rows, EventRow.bytes, EventRow.compute_ms],
    [EventRow.id],
)
