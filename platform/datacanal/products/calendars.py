"""The sessions of the world's exchanges. The library behind it (pandas) is loaded where a calendar is asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from datacanal.domain.errors import BadField

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


@lru_cache(maxsize=32)
def calendar_of(name: str) -> Calendar:
    """Raises `BadField`. The first call of a process takes a second."""
    import exchange_calendars  # with pandas: a second and 80 MiB that most processes never need

    with warnings.catch_warnings():
        # What pandas deprecates is for that library to change; in our tests it would be an error.
        warnings.simplefilter("ignore")
        return _read(name, exchange_calendars)


def _read(name: str, library: Any) -> Calendar:
    try:
        found = library.get_calendar(SAME_SESSIONS.get(name, name))
    except library.errors.InvalidCalendarName:
        reason = f"there is no calendar {name!r}; take an exchange's code, as XSHG, XSHE, XHKG, XNYS or XLON"
        raise BadField(field="contract.calendar", reason=reason) from None
    bound = found.bound_min()
    start = _EARLIEST if bound is None else max(_EARLIEST, bound.date())
    whole = type(found)(start=start.isoformat())
    sessions = tuple(each.date() for each in whole.sessions)
    return Calendar(name, sessions, start, sessions[-1], ZoneInfo(str(whole.tz)))
