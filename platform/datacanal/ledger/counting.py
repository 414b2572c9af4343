"""What the events of a time add up to, by whatever column: always counted, never remembered.

An adjustment counts in the time of the event that it corrects, whenever it was made; `last` is the number of the last
event that is counted, for what was known at an earlier moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from datacanal.domain.usage import Amounts, EventKind
from datacanal.ledger.models import EventRow

_EVENTS = EventRow.__table__
_CORRECTED = _EVENTS.alias("corrected")
_COUNTED = ("calls", "rows", "bytes", "compute_ms", "units")
_HALF = 2**31
_NO_AMOUNTS = Amounts()

Whose = Sequence[ColumnElement[bool]]
Group = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Events from `start` on, before `end`, numbered at most `last`."""

    start: datetime
    end: datetime
    last: int


@dataclass(frozen=True, slots=True)
class Sum:
    """What so many events add up to."""

    amounts: Amounts = _NO_AMOUNTS
    units: int = 0
    receipts: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.amounts + other.amounts, self.units + other.units, self.receipts + other.receipts)


NOTHING = Sum()


def of_everybody(connection: Connection, start: datetime, last: int) -> Whose:
    """Every event from that time on: as times follow numbers, found by halving, and read in one go."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        at = connection.scalar(select(_EVENTS.c.at).where(_EVENTS.c.seq == middle))
        low, high = (middle + 1, high) if at is not None and at < start else (low, middle)
    return (_EVENTS.c.seq >= low,)


def of_account(tenant: str, *accounts: str) -> Whose:
    """The events of these accounts; what internal ones are called says nothing of their tenant."""
    return (_EVENTS.c.account_id.in_(accounts), _EVENTS.c.tenant == tenant)


def of_subscription(subscription: str) -> Whose:
    """The events of one subscription."""
    return (_EVENTS.c.subscription_id == subscription,)


def with_product(product: str) -> Whose:
    """Those of calls of the product alone."""
    return (_EVENTS.c.product == product,)


def of_product(tenant: str, product: str) -> Whose:
    """The events of a product's readers."""
    return (_EVENTS.c.tenant == tenant, _EVENTS.c.product == product)


def used(connection: Connection, by: Sequence[str], whose: Whose, span: Span) -> dict[Group, Sum]:
    """What was used, by those columns."""
    return _summed(connection, by, usages(_sums(by), whose, span))


def adjusted(connection: Connection, by: Sequence[str], whose: Whose, span: Span) -> dict[Group, Sum]:
    """What the corrections of what was used then add up to, by those columns."""
    return _summed(connection, by, adjustments(_sums(by), whose, span))


def usages(what: Sequence[Any], whose: Whose, span: Span) -> Select[Any]:
    """The events of calls in the span."""
    at = _EVENTS.c.at
    return select(*what).where(
        *whose, _EVENTS.c.kind == EventKind.USAGE, at >= span.start, at < span.end, _EVENTS.c.seq <= span.last
    )


def adjustments(what: Sequence[Any], whose: Whose, span: Span) -> Select[Any]:
    """The corrections of events in the span; a correction is never before what it corrects."""
    at = _CORRECTED.c.at
    corrected = _EVENTS.join(_CORRECTED, _CORRECTED.c.id == _EVENTS.c.corrects)
    made = (
        _EVENTS.c.kind == EventKind.ADJUST,
        _CORRECTED.c.kind != EventKind.JOB,
        _EVENTS.c.at >= span.start,
        _EVENTS.c.seq <= span.last,
    )
    return select(*what).select_from(corrected).where(*whose, *made, at >= span.start, at < span.end)


def sum_halves(columns: Sequence[str]) -> list[Any]:
    """How many events, and the sums in two halves each: no amounts are too large for what a database adds up in."""
    return [func.count(), *(half for name in columns for half in _halves(_EVENTS.c[name]))]


def whole_sum(found: Sequence[Any]) -> tuple[int, ...]:
    """What `sum_halves` found; nothing adds up to 0."""
    receipts, *halves = (int(each or 0) for each in found)
    return receipts, *(high * _HALF + low for high, low in zip(halves[::2], halves[1::2], strict=True))


def _sums(by: Sequence[str]) -> list[Any]:
    return [*(_EVENTS.c[name] for name in by), *sum_halves(_COUNTED)]


def _halves(column: Any) -> tuple[Any, Any]:
    return func.sum(column // _HALF), func.sum(column % _HALF)


def _summed(connection: Connection, by: Sequence[str], sums: Select[Any]) -> dict[Group, Sum]:
    grouped = sums.group_by(*(_EVENTS.c[name] for name in by))
    found = {}
    for row in connection.execute(grouped):
        receipts, calls, rows, size, compute_ms, units = whole_sum(row[len(by) :])
        if receipts:
            found[tuple(row[: len(by)])] = Sum(Amounts(calls, rows, size, compute_ms), units, receipts)
    return found
