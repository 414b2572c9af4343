"""The meters of a transaction: read, made when first used, grown, written back.

A meter is what the events of its period, of whatever kind, and the holds add up to, whatever quota there is by now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from datacanal.domain.usage import Amounts, Dimension, Period, Quota, Terms, period_end, period_start
from datacanal.ledger.charging import Counted, Tally, hour_of, starts
from datacanal.ledger.kept import Kept
from datacanal.ledger.models import EventRow, HoldRow, MeterRow
from datacanal.ledger.prepared import Lookup, Write
from datacanal.ledger.shelf import Shelf

_Meters = tuple[str, datetime]


class Tallies:
    """The meters by subscription and the beginning of their period."""

    def __init__(self, connection: Connection, write_first: Callable[[], None], kept: Kept) -> None:
        """`write_first` writes the events and holds of the transaction so far, so that sums have them."""
        self._connection = connection
        self._write_first = write_first
        self._shelf: Shelf[_Meters, list[Tally]] = Shelf(self._read, kept.tallies)
        self._of: dict[_Meters, list[Tally]] = {}
        self._counted = kept.counted
        self._new: dict[int, tuple[Tally, Terms]] = {}
        self._changed: dict[int, Tally] = {}

    def fetch(self, counted: Collection[tuple[str, datetime]]) -> None:
        """Read at once what `of` will be asked for."""
        hours = {(whose, hour_of(at)) for whose, at in counted}
        self._shelf.fetch([(whose, start) for whose, hour in hours for start in {each for _, each in starts(hour)}])

    def of(self, subscription: str, at: datetime) -> list[Tally]:
        """Every meter of the subscription that the instant counts in."""
        hour = hour_of(at)
        known = self._of.get((subscription, hour))
        if known is None:
            known = self._of[(subscription, hour)] = [
                tally
                for period, start in starts(hour)
                for tally in self._shelf.get((subscription, start)) or ()
                if tally.period is period
            ]
        return known

    def counted(self, terms: Terms, at: datetime) -> list[Counted]:
        """Each quota with its meter of the instant's period, made where there is none."""
        place = id(terms), hour_of(at)  # they are the same object in nearly all calls, and slow to compare
        known = self._counted.get(place)
        if known is None:
            counted = self._find_or_make(terms, at)
            known = self._counted[place] = (terms, counted)
        return known[1]

    def _find_or_make(self, terms: Terms, at: datetime) -> list[Counted]:
        if terms.subscription is None:
            return []
        there = {(tally.dimension, tally.period): tally for tally in self.of(terms.subscription, at)}
        return [
            Counted(quota, there.get((quota.dimension, quota.period)) or self._make(terms, quota, at))
            for quota in terms.quotas
        ]

    def grow_used(self, subscription: str, at: datetime, used: object) -> None:
        """More is used, by the amounts that this has, or less where one is below 0."""
        for tally in self.of(subscription, at):
            tally.used += tally.of(used)
            self._changed[id(tally)] = tally

    def grow_held(self, subscription: str, at: datetime, held: Amounts) -> None:
        """More is held, or less where an amount is below 0."""
        for tally in self.of(subscription, at):
            tally.held += tally.of(held)
            self._changed[id(tally)] = tally

    def changed(self, tally: Tally) -> None:
        """It is to be written."""
        self._changed[id(tally)] = tally

    def write(self) -> None:
        """Write what is new and what changed."""
        _NEW.run(
            self._connection,
            [(*_row(tally), terms.tenant, terms.account) for tally, terms in self._new.values()],
        )
        _CHANGED.run(self._connection, [_row(each) for key, each in self._changed.items() if key not in self._new])

    def _make(self, terms: Terms, quota: Quota, at: datetime) -> Tally:
        self._write_first()
        subscription = terms.subscription or ""
        start = period_start(at, quota.period)
        used, held = self._sums(subscription, quota.dimension, start, period_end(start, quota.period))
        tally = Tally(subscription, quota.dimension, quota.period, start, used, held)
        self._shelf.put((subscription, start), [*(self._shelf.get((subscription, start)) or ()), tally])
        self._new[id(tally)] = (tally, terms)
        self._of.clear()
        return tally

    def _sums(self, subscription: str, dimension: Dimension, start: datetime, end: datetime) -> tuple[int, int]:
        used = select(func.sum(getattr(EventRow, dimension.value))).where(
            EventRow.subscription_id == subscription,
            EventRow.reserved_at >= start,
            EventRow.reserved_at < end,
        )
        held = select(func.sum(getattr(HoldRow, dimension.value))).where(
            HoldRow.subscription_id == subscription, HoldRow.reserved_at >= start, HoldRow.reserved_at < end
        )
        return int(self._connection.scalar(used) or 0), int(self._connection.scalar(held) or 0)

    def _read(self, keys: Collection[_Meters]) -> Iterator[tuple[_Meters, list[Tally]]]:
        found: dict[_Meters, list[Tally]] = {}
        for subscription, dimension, period, start, used, held, noticed in _METERS.rows(self._connection, keys):
            tally = Tally(subscription, Dimension(dimension), Period(period), start, used, held, noticed)
            found.setdefault((subscription, start), []).append(tally)
        yield from found.items()


def count(connection: Connection, events: Collection[tuple[str | None, datetime, Amounts]]) -> None:
    """Add events, each of a subscription and a time, to the meters that there are."""
    tallies = Tallies(connection, lambda: None, Kept())
    counted = [(whose, at, amounts) for whose, at, amounts in events if whose is not None]
    tallies.fetch([(whose, at) for whose, at, _amounts in counted])
    for whose, at, amounts in counted:
        tallies.grow_used(whose, at, amounts)
    tallies.write()


def _row(tally: Tally) -> tuple[object, ...]:
    its = (tally.subscription, tally.dimension.value, tally.period.value, tally.start)
    return (*its, tally.used, tally.held, tally.percent)


_METERS = Lookup(
    [
        MeterRow.subscription_id,
        MeterRow.dimension,
        MeterRow.period,
        MeterRow.start,
        MeterRow.used,
        MeterRow.held,
        MeterRow.noticed,
    ],
    [MeterRow.subscription_id, MeterRow.start],
)
_OF_ROW = ("its_subscription", "its_dimension", "its_period", "its_start", "used", "held", "noticed")
_AMOUNTS: dict[str, Any] = {name: bindparam(name) for name in ("used", "held", "noticed")}
_NEW = Write(
    insert(MeterRow).values(
        subscription_id=bindparam("its_subscription"),
        dimension=bindparam("its_dimension"),
        period=bindparam("its_period"),
        start=bindparam("its_start"),
        tenant=bindparam("tenant"),
        principal=bindparam("principal"),
        **_AMOUNTS,
    ),
    (*_OF_ROW, "tenant", "principal"),
)
_CHANGED = Write(
    update(MeterRow)
    .where(
        MeterRow.subscription_id == bindparam("its_subscription"),
        MeterRow.dimension == bindparam("its_dimension"),
        MeterRow.period == bindparam("its_period"),
        MeterRow.start == bindparam("its_start"),
    )
    .values(**_AMOUNTS),
    _OF_ROW,
)
