"""When a schedule is due: cron in a time zone, on an exchange's sessions, and what becomes of times that passed.

No clock, no store: every function is of its arguments alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from datacanal.control.schedules.calendars import Sessions
from datacanal.domain.product_errors import BadCron, NeverDue, UnknownTimeZone
from datacanal.protocol.products import CatchUp

MOST_WAITING = {"none": 1, "last": 1, "all": 1000}
"""By catch-up rule: how many times may wait for their turn. The newest do."""

LATE = timedelta(seconds=60)
"""A time that passed longer ago passed while nothing ran."""

_FIELDS = 5
_INSTANT = timedelta(seconds=1)
_FIRST_SPAN = timedelta(days=1)


@dataclass(frozen=True)
class Timetable:
    """Five fields of cron in a time zone; with `sessions` only on dates (of that zone) that are among them."""

    cron: str
    zone: ZoneInfo
    sessions: Sessions | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Every time that is due later than the moment, in UTC, in order; ends where the sessions do.

        As cron does, a time of day that the clock leaps over is due when it has leapt, and one that it passes twice
        the first time; what is due every hour or minute (`*`) goes by real time.
        """
        for local in CronSim(self.cron, moment.astimezone(self.zone)):
            if self.sessions is not None and local.date() > self.sessions.until:
                return
            due = local.astimezone(UTC)
            if due > moment and (self.sessions is None or local.date() in self.sessions.days):
                yield due


@dataclass(frozen=True)
class Due:
    """What is due by now: `times`, oldest first; `forgotten` is the last of those that nobody makes up for.

    `following` is the next one, None where nothing is known of it yet.
    """

    times: tuple[datetime, ...]
    forgotten: datetime | None
    following: datetime | None


def zone_of(timezone: str) -> ZoneInfo:
    """The time zone. Raises `UnknownTimeZone`."""
    if timezone not in available_timezones():
        near = difflib.get_close_matches(timezone, sorted(available_timezones()), 1)
        raise UnknownTimeZone(timezone=timezone, suggestion=f"; {near[0]} is near" if near else "")
    return ZoneInfo(timezone)


def check_cron(cron: str) -> None:
    """Raises `BadCron`, or `NeverDue` where no year has such a day."""
    if len(cron.split()) != _FIELDS:
        raise BadCron(cron=cron, reason=f"it has {len(cron.split())} fields")
    try:
        times = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        if _has_known_fields(cron):
            raise NeverDue(cron=cron, where=": no month of it has such a day") from None
        raise BadCron(cron=cron, reason=f"the field {str(error).removeprefix('Bad ')} cannot be read") from None
    if next(times, None) is None:
        raise NeverDue(cron=cron, where="")


def _has_known_fields(cron: str) -> bool:
    """Whether each field alone is fine, so that only together they fit no day."""
    minute, hour, day, month, weekday = cron.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", datetime(2000, 1, 1, tzinfo=UTC))
        CronSim(f"{minute} {hour} * {month} {weekday}", datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def next_due(timetable: Timetable, moment: datetime) -> datetime | None:
    """The first time after the moment; None where there is none, or none is known yet."""
    return next(timetable.after(moment), None)


def due(timetable: Timetable, catch_up: CatchUp, since: datetime, now: datetime) -> Due:
    """What became due from `since` (itself included) until now, by the rule of what passed while nothing ran."""
    most = MOST_WAITING[catch_up]
    newest = _newest(timetable, since, now, most + 1)
    times, older = newest[-most:], newest[:-most]
    if catch_up == "none":
        late = [time for time in times if now - time > LATE]
        times, older = times[len(late) :], older + late
    return Due(tuple(times), older[-1] if older else None, next_due(timetable, now))


def _newest(timetable: Timetable, since: datetime, now: datetime, most: int) -> list[datetime]:
    """The newest times, oldest first. Looks back in spans that double, so that years of minutes cost no more."""
    span = _FIRST_SPAN
    while True:
        begin = max(since, now - span)
        found = list(takewhile(lambda time: time <= now, timetable.after(begin - _INSTANT)))
        if begin == since or len(found) >= most:
            return found[-most:]
        span *= 2
