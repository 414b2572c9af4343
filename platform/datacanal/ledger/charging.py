"""Whether a call fits what is left of its quotas, what is left then, and what is to be told; nothing here is I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from datacanal.domain.metering_errors import BadAmount, QuotaExhausted
from datacanal.domain.usage import (
    MOST_AMOUNT,
    Amounts,
    Dimension,
    Period,
    Quota,
    of_dimension,
    period_end,
    period_start,
)
from datacanal.ledger.charges import Left

NOTICED_AT = (80, 100)
"""At which percentages of a quota its account is told."""


@lru_cache(256)
def _end(start: datetime, period: Period) -> tuple[datetime, int]:
    end = period_end(start, period)
    return end, int((end - start).total_seconds())


@dataclass(slots=True)
class Tally:
    """A meter while calls are charged: what of a period is used and held. `percent` is what was told already."""

    subscription: str
    dimension: Dimension
    period: Period
    start: datetime
    used: int = 0
    held: int = 0
    percent: int = 0
    end: datetime = field(init=False)
    window_s: int = field(init=False)
    of: Callable[[object], int] = field(init=False)
    """The amount of its dimension, of whatever has amounts."""

    def __post_init__(self) -> None:
        self.of = of_dimension(self.dimension)
        self.end, self.window_s = _end(self.start, self.period)

    @property
    def taken(self) -> int:
        """Used or held: what nobody else can have."""
        return self.used + self.held


class Counted:
    """A quota and the meter of its period."""

    __slots__ = ("_name", "_unit", "quota", "tally")

    def __init__(self, quota: Quota, tally: Tally) -> None:
        self.quota = quota
        self.tally = tally
        self._name = quota.name
        self._unit = "" if quota.dimension is Dimension.CALLS else quota.dimension.value

    def fits(self, asked: Amounts) -> bool:
        """Whether so much more does."""
        tally = self.tally
        amount = tally.of(asked)
        most = MOST_AMOUNT if self.quota.soft else self.quota.amount
        return amount == 0 or tally.used + tally.held + amount <= most

    def left(self, now: datetime) -> Left:
        """What is left of it."""
        quota, tally = self.quota, self.tally
        amount, taken = quota.amount, tally.used + tally.held
        return Left(
            self._name,
            amount,
            tally.window_s,
            self._unit,
            amount - taken if taken < amount else 0,
            _seconds_left(tally.end, now),
            quota.soft,
            taken / amount if amount else 1.0 + taken,
        )


def check_amounts(amounts: Amounts) -> None:
    """Raises `BadAmount` for one that is below 0 or above `MOST_AMOUNT`."""
    calls, rows, size, compute_ms = amounts.calls, amounts.rows, amounts.bytes, amounts.compute_ms
    if not (
        0 <= calls <= MOST_AMOUNT
        and 0 <= rows <= MOST_AMOUNT
        and 0 <= size <= MOST_AMOUNT
        and 0 <= compute_ms <= MOST_AMOUNT
    ):
        wrong = next(dimension for dimension in Dimension if not 0 <= amounts.of(dimension) <= MOST_AMOUNT)
        raise BadAmount(field=wrong.value, reason=f"{amounts.of(wrong)} is not between 0 and {MOST_AMOUNT}")


def check_quotas(counted: Sequence[Counted], asked: Amounts, now: datetime) -> None:
    """Raises `QuotaExhausted`, which names all quotas that the amounts do not fit into."""
    violated = [each for each in counted if not each.fits(asked)]
    if violated:
        first = violated[0]
        raise QuotaExhausted(
            [each.quota.name for each in violated],
            retry_after_s=max(1, _seconds_left(first.tally.end, now)),
            first=_words(first, asked),
        )


def _words(counted: Counted, asked: Amounts) -> str:
    quota = counted.quota
    left = max(0, quota.amount - counted.tally.taken)
    return f"{quota.name}: {left} of {quota.amount} are left, {asked.of(quota.dimension)} were asked for"


@lru_cache(256)
def _seconds_left(end: datetime, now: datetime) -> int:
    return max(0, math.ceil((end - now).total_seconds()))


def passed(quota: Quota, tally: Tally) -> Sequence[int]:
    """The percentages of the quota that are used by now and were not told yet."""
    used, amount = tally.used * 100, quota.amount
    if used < amount * NOTICED_AT[0]:
        return ()
    return [percent for percent in NOTICED_AT if tally.percent < percent and used >= amount * percent]


@lru_cache(256)
def hour_of(at: datetime) -> datetime:
    """The shortest of the periods that an instant counts in: instants of the same count in the same ones."""
    return period_start(at, Period.HOUR)


@lru_cache(256)
def starts(hour: datetime) -> tuple[tuple[Period, datetime], ...]:
    """The periods that an instant of that hour counts in."""
    return tuple((period, period_start(hour, period)) for period in Period)


def at_most(asked: Amounts, most: Amounts) -> Amounts:
    """Of each dimension the smaller amount."""
    return Amounts(
        min(asked.calls, most.calls),
        min(asked.rows, most.rows),
        min(asked.bytes, most.bytes),
        min(asked.compute_ms, most.compute_ms),
    )
