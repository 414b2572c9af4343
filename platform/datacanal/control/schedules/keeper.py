"""Looks at the clock for all schedules, and lets every run that has begun be carried to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from datacanal.control.desk import Desk
from datacanal.control.schedules.carrying import Carrier, turn_of
from datacanal.control.schedules.rows import SCHEDULES, timetable_of
from datacanal.control.schedules.times import Due, due, next_due
from datacanal.control.schedules.turns import active_runs, come_due, settle, take_turns
from datacanal.domain.errors import DatacanalError
from datacanal.protocol.problem import problem_of
from datacanal.protocol.products import CatchUp
from datacanal.serving.handlers import failure_fields
from datacanal.state.product_models import ScheduleRow

_LONGEST_PAUSE_S = 30.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class Pending:
    """A schedule that is due, or of whose next time nothing was known when it was looked at."""

    schedule_id: str
    cron: str
    timezone: str
    calendar: str | None
    catch_up: CatchUp
    next_at: datetime | None

    def found(self, now: datetime) -> Due:
        """Takes seconds where a calendar is loaded or long outages are made up for."""
        timetable = timetable_of(self.cron, self.timezone, self.calendar, now.date())
        if self.next_at is None:
            return Due((), None, next_due(timetable, now))
        return due(timetable, self.catch_up, self.next_at, now)


class ScheduleKeeper:
    """Runs for as long as the control plane does. What it finds begun when it starts it goes on with."""

    def __init__(self, desk: Desk, carrier: Carrier) -> None:
        self._desk = desk
        self._carrier = carrier
        self._carried: dict[int, asyncio.Task[None]] = {}
        self._unknown: dict[str, date] = {}

    async def run(self) -> None:
        """Look whenever a schedule is due, was changed, or ended a run; often enough to notice leaps of the clock."""
        with self._desk.signals.subscribe(SCHEDULES) as changes:
            while True:
                await self._look()
                await changes.next(await self._pause_s())

    async def _look(self) -> None:
        now = self._desk.clock.now()
        for pending in await self._desk.read(lambda session: _pending(session, now)):
            if pending.next_at is not None or self._unknown.get(pending.schedule_id) != now.date():
                await self._enter(pending, now)
        await self._desk.write(take_turns)
        for run in await self._desk.read(active_runs):
            if run not in self._carried:
                self._begin(run)

    async def _enter(self, pending: Pending, now: datetime) -> None:
        try:
            found = await asyncio.to_thread(pending.found, now)
        except DatacanalError as error:  # the library does not know its time zone or calendar any more
            _log.error("schedule_unreadable", schedule=pending.schedule_id, code=error.code)
            found = Due((), None, None)
        self._unknown[pending.schedule_id] = now.date()
        await self._desk.write(lambda change: come_due(change, pending.schedule_id, pending.next_at, found))

    async def _pause_s(self) -> float:
        following = await self._desk.read(_next_of_all)
        if following is None:
            return _LONGEST_PAUSE_S
        return min(max((following - self._desk.clock.now()).total_seconds(), 0.05), _LONGEST_PAUSE_S)

    def _begin(self, run: int) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(run))
        self._carried[run] = task
        task.add_done_callback(lambda _: self._carried.pop(run, None))

    async def _carry(self, run: int) -> None:
        turn = await self._desk.read(lambda session: turn_of(session, run))
        if turn is None:
            return
        try:
            problem = await self._carrier.carry(turn)
        except DatacanalError as error:
            problem = problem_of(error)
        except Exception as error:
            _log.error("schedule_broke", schedule=turn.schedule, **failure_fields(error))
            problem = problem_of(DatacanalError())
        await self._desk.write(lambda change: settle(change, run, problem))

    async def close(self) -> None:
        """Stop following; what has begun goes on, and is followed again after the next start."""
        tasks = list(self._carried.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _pending(session: Session, now: datetime) -> list[Pending]:
    is_due = or_(ScheduleRow.next_at <= now, ScheduleRow.next_at.is_(None))
    rows = session.scalars(select(ScheduleRow).where(ScheduleRow.paused.is_(False), is_due)).all()
    return [
        Pending(row.id, row.cron, row.timezone, row.calendar, cast("CatchUp", row.catch_up), row.next_at)
        for row in rows
    ]


def _next_of_all(session: Session) -> datetime | None:
    ahead = select(ScheduleRow.next_at).where(ScheduleRow.paused.is_(False), ScheduleRow.next_at.is_not(None))
    return session.scalars(ahead.order_by(ScheduleRow.next_at)).first()
