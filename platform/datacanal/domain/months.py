"""Months in UTC, which tariffs count by and invoices are for: written 2026-11."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from datacanal.domain.errors import BadField
from datacanal.domain.usage import Period, period_end, period_start

_WRITTEN = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """From `start` on, before `end`."""

    start: datetime

    @property
    def end(self) -> datetime:
        return period_end(self.start, Period.MONTH)

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.start:%Y-%m}"


def month_of(at: datetime) -> Month:
    """The month that holds the instant."""
    return Month(period_start(at, Period.MONTH))


def month_named(name: str) -> Month:
    """The month of that name. Raises `BadField`."""
    match = _WRITTEN.fullmatch(name)
    if match is None or not 1970 <= int(match[1]) <= 9000:
        raise BadField(field="period", reason="a month such as 2026-11 is needed")
    return Month(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC))


def months_between(start: datetime, end: datetime) -> Iterator[Month]:
    """The months that begin before `end`, from the one that holds `start`."""
    month = month_of(start)
    while month.start < end:
        yield month
        month = Month(month.end)
