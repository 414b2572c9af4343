"""The sessions of the world's exchanges. The library behind it (pandas) is loaded where a calendar is asked for."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from datacanal.domain.product_errors import UnknownCalendar

_EARLIEST = date(1970, 1, 1)
SAME_SESSIONS = {"XSHE": "XSHG"}
"""Exchanges that the library leaves out because they keep another one's days: Shenzhen keeps Shanghai's."""


@dataclass(frozen=True)
class Calendar:
    """`sessions` in order; outside `first` to `last` nothing is known of them. `zone` is the exchange's."""

    name: str
    sessions: tuple[date, ...]
    first: date
    last: date
    zone: ZoneInfo

    def between(self, first: date, last: date) -> list[date]:
        """The sessions of these days, both included."""
        return [each for each in self.sessions if first <= each <= last]

    def today(self, now: datetime) -> date:
        """The exchange's day at an instant."""
        return now.astimezone(self.zone).date()


def calendar_of(name: str, today: date) -> Calendar:
    """Until the end of next year, or as far as the exchange has announced. Raises `UnknownCalendar`.

    The first call of a process takes a second.
    """
    return _calendar(name, today.year)


@lru_cache(maxsize=64)
def _calendar(name: str, year: int) -> Calendar:
    import exchange_calendars  # with pandas: a second and 80 MiB that most processes never need

    with warnings.catch_warnings():
        # What pandas deprecates is for that library to change; in our tests it would be an error.
        warnings.simplefilter("ignore")
        return _read(name, year, exchange_calendars)


def _read(name: str, year: int, library: Any) -> Calendar:
    names = [*library.get_calendar_names(), *SAME_SESSIONS]
    if name not in names:
        near = difflib.get_close_matches(name.upper(), names, 1)
        raise UnknownCalendar(calendar=name, suggestion=f"; {near[0]} is near" if near else "")
    kind = type(library.get_calendar(SAME_SESSIONS.get(name, name)))
    earliest, announced = kind.bound_min(), kind.bound_max()
    first = _EARLIEST if earliest is None else max(_EARLIEST, earliest.date())
    last = date(year + 1, 12, 31) if announced is None else min(date(year + 1, 12, 31), announced.date())
    whole = kind(start=first.isoformat(), end=last.isoformat())
    return Calendar(name, tuple(each.date() for each in whole.sessions), first, last, ZoneInfo(str(whole.tz)))
