"""What a reader should know of each session: whole, thin, not there yet, not there, or written anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from statistics import median
from typing import Literal

from datacanal.products.calendars import calendar_of
from datacanal.products.manifest import Manifest, Session
from datacanal.protocol.base import Document
from datacanal.protocol.products import Contract, Freshness

Condition = Literal["available", "degraded", "pending", "missing", "restated"]

NEIGHBOURS = 21
_FEWEST_NEIGHBOURS = 5
_THIN = 0.5


class SessionCondition(Document):
    """`rows` is 0 for a session that the snapshot does not have."""

    session: date
    condition: Condition
    rows: int


def conditions_of(
    manifest: Manifest,
    contract: Contract,
    restated: Collection[date],
    now: datetime,
    first: date | None = None,
    last: date | None = None,
) -> list[SessionCondition]:
    """The conditions under the contract's calendar; absent bounds are the snapshot's first session and today.

    The first call for a calendar may take a second. Raises `UnknownCalendar`.
    """
    calendar = None if contract.calendar is None else calendar_of(contract.calendar, now.date())
    today = now.astimezone(UTC).date() if calendar is None else calendar.today(now)
    days = [date.fromisoformat(each.session) for each in manifest.sessions] or [today]
    start, end = first or days[0], last or today
    return conditions(
        manifest,
        expected=[] if calendar is None else calendar.between(min(start, days[-1]), max(end, today)),
        restated=restated,
        today=today,
        at_most=(contract.freshness or Freshness()).at_most,
        first=start,
        last=end,
    )


def conditions(
    manifest: Manifest,
    *,
    expected: Sequence[date],
    restated: Collection[date],
    today: date,
    at_most: int,
    first: date,
    last: date,
) -> list[SessionCondition]:
    """The condition of every session from `first` to `last`, both included, in order.

    `expected` are the calendar's sessions, in order, at least from the earlier of `first` and the snapshot's newest
    session to `today`; empty without a calendar. `at_most` is how many sessions may be missing at the end
    (`contract.freshness.at_most`).

    A session is *restated* where its values changed after they were published, *degraded* where it has fewer than
    half the rows of the median of the 21 sessions before it (of fewer than five nothing is concluded), *pending* where
    it is expected after the newest one and one of the last `at_most` until today, or later, and *missing* where it is
    expected otherwise. Nothing is expected before the snapshot's first session. Sessions that the calendar does not
    know are told of as they are.
    """
    rows = {date.fromisoformat(each.session): each.rows for each in manifest.sessions}
    thin = _thin(manifest.sessions)
    pending = _pending(list(rows), expected, today, at_most)

    def condition(day: date) -> Condition:
        if day in restated:
            return "restated"
        if day in rows:
            return "degraded" if day in thin else "available"
        return "pending" if day in pending else "missing"

    promised = [each for each in expected if each >= min(rows, default=first)]
    days = sorted(each for each in {*rows, *promised, *restated} if first <= each <= last)
    return [SessionCondition(session=day, condition=condition(day), rows=rows.get(day, 0)) for day in days]


def _thin(sessions: Sequence[Session]) -> set[date]:
    counts = [each.rows for each in sessions]
    found = set()
    for place in range(_FEWEST_NEIGHBOURS, len(sessions)):
        before = counts[max(0, place - NEIGHBOURS) : place]
        if counts[place] < _THIN * median(before):
            found.add(date.fromisoformat(sessions[place].session))
    return found


def _pending(present: Sequence[date], expected: Sequence[date], today: date, at_most: int) -> set[date]:
    newest = max(present, default=date.min)
    until_today = [day for day in expected if day <= today]
    late = until_today[-at_most:] if at_most else []
    return {day for day in [*late, *(day for day in expected if day > today)] if day > newest}
