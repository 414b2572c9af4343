"""The days on which an exchange trades, as a timetable needs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from datacanal.products.calendars import calendar_of


@dataclass(frozen=True)
class Sessions:
    """Dates of the exchange's own place. Of what comes after `until` nothing is known yet."""

    days: frozenset[date]
    until: date


def sessions_of(calendar: str, today: date) -> Sessions:
    """All that is known. Takes seconds the first time. Raises `UnknownCalendar`."""
    found = calendar_of(calendar, today)
    return Sessions(frozenset(found.sessions), found.last)
