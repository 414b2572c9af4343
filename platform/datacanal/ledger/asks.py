"""What the meter is asked for, each an act on a page: charge, hold, take more, settle, give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from datacanal.domain.metering_errors import HoldLost, RequestInProgress
from datacanal.domain.usage import Amounts, EventKind, Outcome
from datacanal.ledger.book import Draft
from datacanal.ledger.charges import Charge, Charged, Replay
from datacanal.ledger.charging import Counted, at_most, check_amounts, check_quotas
from datacanal.ledger.holds import Held
from datacanal.ledger.known import Known, check_can_complete, check_same_query, request_after
from datacanal.ledger.page import Page, Reads

_NOTHING = Amounts()
_USAGE, _COMPLETE = EventKind.USAGE.value, Outcome.COMPLETE.value


class Ask(Protocol):
    """Something to be done in a transaction that others share: what it raises, it raises before it changes a meter."""

    def reads(self, reads: Reads) -> None:
        """Say what it will read."""

    def act(self, page: Page) -> Any:
        """Do it; gives the answer. Raises what is to be told to whoever asked."""


@dataclass(frozen=True, slots=True)
class ChargeNow:
    """Charge an answer that is there whole."""

    charge: Charge

    def reads(self, reads: Reads) -> None:
        reads.charges.append(self.charge)

    def act(self, page: Page) -> Charged | Replay:
        known = page.known(self.charge)
        before = _before(page, self.charge, known)
        if before is not None:
            return before
        counted = _allowed(page, self.charge)
        page.record(_draft(page, self.charge, known))
        page.notice(self.charge.terms, counted)
        return _charged(page, self.charge, counted, page.at)


@dataclass(frozen=True, slots=True)
class HoldNow:
    """Reserve for an answer that is sent while it is made; the time of the answer is that of the reservation."""

    charge: Charge
    gateway: str

    def reads(self, reads: Reads) -> None:
        reads.charges.append(self.charge)

    def act(self, page: Page) -> Charged | Replay:
        known = page.known(self.charge)
        before = _before(page, self.charge, known)
        if before is not None:
            return before
        counted = _allowed(page, self.charge)
        page.hold(Held(self.gateway, _draft(page, self.charge, known)))
        return _charged(page, self.charge, counted, page.now)


@dataclass(frozen=True, slots=True)
class Take:
    """Reserve more of a hold that was made at that time."""

    charge: Charge
    reserved_at: datetime
    more: Amounts

    def reads(self, reads: Reads) -> None:
        _reads_hold(reads, self.charge, self.reserved_at)

    def act(self, page: Page) -> Charged:
        held = page.holds.get(self.charge.receipt)
        if held is None:
            raise HoldLost(receipt=self.charge.receipt)
        check_amounts(self.more)
        counted = page.counted(self.charge.terms, self.reserved_at)
        check_quotas(counted, self.more, page.now)
        page.hold_more(held, self.more)
        more = held.with_more(self.more)
        left = page.left(self.charge.terms, counted)
        return Charged(more.draft.id, self.reserved_at, more.amounts, more.draft.units, left)


@dataclass(frozen=True, slots=True)
class Settle:
    """End a hold: an event of what was sent, of each dimension at most what is held; the rest is given back."""

    charge: Charge
    reserved_at: datetime
    actual: Amounts
    outcome: Outcome

    def reads(self, reads: Reads) -> None:
        _reads_hold(reads, self.charge, self.reserved_at)

    def act(self, page: Page) -> Charged:
        terms = self.charge.terms
        held = page.holds.get(self.charge.receipt)
        if held is None:
            return self._settled_before(page)
        check_amounts(self.actual)
        sent = _NOTHING if self.outcome is Outcome.ABORTED else at_most(self.actual, held.amounts)
        event = held.event(sent, self.outcome)
        page.settle(held, event)
        counted = page.counted(terms, self.reserved_at)
        page.notice(terms, counted)
        return Charged(event.id, page.at, sent, event.units, page.left(terms, counted))

    def _settled_before(self, page: Page) -> Charged:
        """The commit whose answer was lost. Raises `HoldLost` where others gave the hold up."""
        event = page.event(self.charge.receipt)
        if event is None or event.outcome != self.outcome:
            raise HoldLost(receipt=self.charge.receipt)
        left = page.left(self.charge.terms, page.counted(self.charge.terms, self.reserved_at))
        return Charged(self.charge.receipt, event.at, event.amounts, event.units, left)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End all holds of a gateway that does not live any more; gives how many they were."""

    gateway: str

    def reads(self, _reads: Reads) -> None:
        """Nothing that others read too."""

    def act(self, page: Page) -> int:
        lost = page.holds.of_gateway(self.gateway)
        for held in lost:
            page.settle(held, held.event(_NOTHING, Outcome.ABORTED))
        return len(lost)


def _before(page: Page, charge: Charge, known: Known | None) -> Charged | Replay | None:
    """What the book has of the call by what it knows of its request, None where it is new or completes the last one.

    Raises `IdempotencyConflict`, `RequestInProgress`, `HoldLost`.
    """
    check_can_complete(known, charge)
    if known is not None:
        check_same_query(known.product, known.query, charge)
        if known.receipt == charge.receipt:
            return _charged_before(page, charge)
        if known.is_complete or charge.completes != known.receipt:
            return known.replay()
    under_way = page.under_way(charge, known)
    if under_way is not None:
        check_same_query(under_way.product, under_way.query, charge)
        return _held_before(page, charge)
    return None


def _held_before(page: Page, charge: Charge) -> Charged:
    """The commit whose answer was lost. Raises `RequestInProgress` where it is another's hold."""
    held = page.holds.get(charge.receipt)
    if held is None:
        raise RequestInProgress
    reserved_at = held.draft.reserved_at
    return _charged(page, charge, page.counted(charge.terms, reserved_at), reserved_at)


def _charged_before(page: Page, charge: Charge) -> Charged:
    """The commit whose answer was lost. Raises `HoldLost` where it was a hold that others gave up."""
    event = page.event(charge.receipt)
    if event is not None and event.outcome != Outcome.COMPLETE:
        raise HoldLost(receipt=charge.receipt)
    at = page.at if event is None else event.at
    return _charged(page, charge, page.counted(charge.terms, page.now), at)


def _allowed(page: Page, charge: Charge) -> list[Counted]:
    """The quotas that the call fits into. Raises what refuses it."""
    check_amounts(charge.amounts)
    page.entry.check(charge)
    page.bursts.hit(charge.terms)
    counted = page.counted(charge.terms, page.now)
    check_quotas(counted, charge.amounts, page.now)
    page.entry.used(charge.key)
    return counted


def _charged(page: Page, charge: Charge, counted: Sequence[Counted], at: datetime) -> Charged:
    units = charge.amounts.of(charge.terms.unit)
    return Charged(charge.receipt, at, charge.amounts, units, page.left(charge.terms, counted))


def _draft(page: Page, charge: Charge, known: Known | None) -> Draft:
    terms, amounts = charge.terms, charge.amounts
    return Draft(
        charge.receipt,
        _USAGE,
        _COMPLETE,
        terms.tenant,
        charge.principal,
        terms.account,
        request_after(known, charge.request),
        page.now,
        terms.unit.value,
        terms.subscription,
        charge.key,
        terms.product,
        charge.version,
        charge.snapshot,
        charge.query,
        charge.policy,
        terms.tariff,
        amounts.calls,
        amounts.rows,
        amounts.bytes,
        amounts.compute_ms,
        amounts.of(terms.unit),
        corrects=None if known is None else known.first,
    )


def _reads_hold(reads: Reads, charge: Charge, reserved_at: datetime) -> None:
    reads.receipts.append(charge.receipt)
    if charge.terms.subscription is not None:
        reads.counted.add((charge.terms.subscription, reserved_at))
