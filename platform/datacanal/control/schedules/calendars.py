"""The days on which an exchange trades, by the library that keeps them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from datacanal.domain.product_errors import UnknownCalendar
from datacanal.products.calendars import SAME_SESSIONS

_YEARS_BACK = 2


@dataclass(frozen=True)
class Sessions:
    """Dates of the exchange's own place. Of what comes after `until` nothing is known yet."""

    days: frozenset[date]
    until: date


def sessions_of(calendar: str, today: date) -> Sessions:
    """The sessions from two years ago to the end of next year, or as far as they are announced.

    Takes seconds the first time. Raises `UnknownCalendar`.
    """
    return _sessions(calendar, today.year)


@lru_cache(maxsize=128)
def _sessions(calendar: str, year: int) -> Sessions:
    # It loads pandas, which most services never need.
    import exchange_calendars

    names = [*exchange_calendars.get_calendar_names(), *SAME_SESSIONS]
    if calendar not in names:
        near = difflib.get_close_matches(calendar.upper(), names, 1)
        raise UnknownCalendar(calendar=calendar, suggestion=f"; {near[0]} is near" if near else "")
    kept = SAME_SESSIONS.get(calendar, calendar)
    announced = type(exchange_calendars.get_calendar(kept)).bound_max()
    until = min(date(year + 1, 12, 31), announced.date()) if announced is not None else date(year + 1, 12, 31)
    since = date(min(year, until.year) - _YEARS_BACK, 1, 1)
    found = exchange_calendars.get_calendar(kept, start=since.isoformat(), end=until.isoformat())
    return Sessions(frozenset(session.date() for session in found.sessions), until)
