"""What the public API does with schedules; every method acts for a principal."""

from __future__ import annotations

import asyncio
import json

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.jobs import JobService
from datacanal.control.products.rows import living
from datacanal.control.schedules.rows import (
    SCHEDULES,
    add_run,
    leave_out,
    newest_runs,
    run_view,
    schedule_view,
    seen_schedule,
    timetable_of,
    waiting_runs,
)
from datacanal.control.schedules.times import Timetable, check_cron, next_due
from datacanal.domain.access import Principal
from datacanal.domain.product_errors import NeverDue, NothingToPromote, ScheduleExists
from datacanal.protocol.products import ScheduleList, ScheduleRequest, ScheduleRun, ScheduleRunList, ScheduleView
from datacanal.state.product_models import ScheduleRow, ScheduleRunRow


class ScheduleBook:
    """Schedules of all tenants; one sees one's own, admins see all of their tenant."""

    def __init__(self, desk: Desk, jobs: JobService) -> None:
        self._desk = desk
        self._jobs = jobs

    async def create(self, principal: Principal, request: ScheduleRequest) -> ScheduleView:
        """Check it whole, the job's plan included, and store it. Raises whatever is wrong with it."""
        if request.promote and request.product is None:
            raise NothingToPromote
        now = self._desk.clock.now()
        following = next_due(await self._timetable(request), now)
        if following is None:
            raise NeverDue(cron=request.cron, where=f" on a session of {request.calendar} that is known by now")
        await self._jobs.explain(principal, request.job)
        row = ScheduleRow(
            id=self._desk.clock.new_id("sch"),
            tenant=principal.tenant,
            principal=principal.name,
            name=request.name,
            role=principal.role,
            groups=json.dumps(principal.groups, ensure_ascii=False),
            request=request.job.model_dump_json(),
            cron=request.cron,
            timezone=request.timezone,
            calendar=request.calendar,
            catch_up=request.catch_up,
            product=request.product,
            promote=request.promote,
            paused=False,
            created_at=now,
            next_at=following,
        )
        return await self._desk.write(lambda change: _store(change, principal, row))

    async def _timetable(self, request: ScheduleRequest) -> Timetable:
        check_cron(request.cron)
        today = self._desk.clock.now().date()
        return await asyncio.to_thread(timetable_of, request.cron, request.timezone, request.calendar, today)

    async def list_schedules(self, principal: Principal) -> ScheduleList:
        """By name."""
        own = select(ScheduleRow).where(ScheduleRow.tenant == principal.tenant).order_by(ScheduleRow.name)
        if principal.role != "admin":
            own = own.where(ScheduleRow.principal == principal.name)
        return await self._desk.read(
            lambda session: ScheduleList(schedules=[schedule_view(session, row) for row in session.scalars(own)])
        )

    async def view(self, principal: Principal, name: str) -> ScheduleView:
        """Raises `NotFound`, also for the schedules of others; so do all that follow."""
        return await self._desk.read(lambda session: schedule_view(session, seen_schedule(session, principal, name)))

    async def runs(self, principal: Principal, name: str, limit: int) -> ScheduleRunList:
        """The newest first."""

        def look(session: Session) -> ScheduleRunList:
            return ScheduleRunList(runs=newest_runs(session, seen_schedule(session, principal, name).id, limit))

        return await self._desk.read(look)

    async def pause(self, principal: Principal, name: str) -> ScheduleView:
        """Nothing comes due any more, and what waits is left out; what runs goes on."""

        def write(change: Change) -> ScheduleView:
            row = seen_schedule(change.session, principal, name)
            row.paused, row.next_at = True, None
            leave_out(change, waiting_runs(change.session, row.id), "the schedule was paused")
            return schedule_view(change.session, row)

        return await self._desk.write(write)

    async def resume(self, principal: Principal, name: str) -> ScheduleView:
        """Times come due again from now on; those of the pause are not made up for."""
        seen = await self.view(principal, name)
        now = self._desk.clock.now()
        timetable = await asyncio.to_thread(timetable_of, seen.cron, seen.timezone, seen.calendar, now.date())
        following = next_due(timetable, now)

        def write(change: Change) -> ScheduleView:
            row = seen_schedule(change.session, principal, name)
            if row.paused:
                row.paused, row.next_at = False, following
            change.wakes.add(SCHEDULES)
            return schedule_view(change.session, row)

        return await self._desk.write(write)

    async def run_now(self, principal: Principal, name: str) -> ScheduleRun:
        """A time that is due now, whatever the cron says; its turn comes as that of any other."""

        def write(change: Change) -> ScheduleRun:
            return run_view(add_run(change, seen_schedule(change.session, principal, name), change.clock.now()))

        return await self._desk.write(write)

    async def remove(self, principal: Principal, name: str) -> None:
        """Forget the schedule and its runs. A job that runs goes on; nothing is published of it any more."""

        def write(change: Change) -> None:
            row = seen_schedule(change.session, principal, name)
            change.session.execute(delete(ScheduleRunRow).where(ScheduleRunRow.schedule_id == row.id))
            change.session.delete(row)

        await self._desk.write(write)


def _store(change: Change, principal: Principal, row: ScheduleRow) -> ScheduleView:
    if change.session.scalars(select(ScheduleRow).filter_by(tenant=row.tenant, name=row.name)).first() is not None:
        raise ScheduleExists(name=row.name)
    if row.product is not None:
        living(change.session, principal, row.product)
    change.session.add(row)
    change.session.flush()
    change.wakes.add(SCHEDULES)
    return schedule_view(change.session, row)
