"""Schedules and their runs in the store: who sees them, what they look like, how a run enters and leaves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.schedules.calendars import sessions_of
from datacanal.control.schedules.times import Timetable, zone_of
from datacanal.control.store.jobs import problem_from
from datacanal.domain.access import Principal, sees_job
from datacanal.domain.errors import NotFound
from datacanal.domain.product_errors import RunLeftOut
from datacanal.protocol.problem import problem_of
from datacanal.protocol.products import ScheduleRun, ScheduleView
from datacanal.protocol.public import JobRequest
from datacanal.state.product_models import ScheduleRow, ScheduleRunRow, VersionRow

SCHEDULES = "schedules"
"""The signal of a change that the keeper has to look at."""

ACTIVE = ("running", "publishing")
_KEPT_RUNS = 1000
_SHOWN_RUNS = 10


def seen_schedule(session: Session, principal: Principal, name: str) -> ScheduleRow:
    """Raises `NotFound`, also for the schedules of others."""
    row = session.scalars(select(ScheduleRow).filter_by(tenant=principal.tenant, name=name)).first()
    if row is None or not sees_job(principal, row.tenant, row.principal):
        raise NotFound(what="schedule", name=name)
    return row


def owner_of(row: ScheduleRow) -> Principal:
    """In whose name its jobs are submitted: with the rights of when it was made."""
    return Principal(row.tenant, row.principal, row.role, tuple(json.loads(row.groups)))


def timetable_of(cron: str, timezone: str, calendar: str | None, today: date) -> Timetable:
    """Takes seconds where a calendar is loaded. Raises `UnknownTimeZone`, `UnknownCalendar`."""
    sessions = None if calendar is None else sessions_of(calendar, today)
    return Timetable(cron, zone_of(timezone), sessions)


def schedule_view(session: Session, row: ScheduleRow) -> ScheduleView:
    return ScheduleView(
        name=row.name,
        owner=row.principal,
        cron=row.cron,
        timezone=row.timezone,
        calendar=row.calendar,
        catch_up=row.catch_up,
        product=row.product,
        promote=row.promote,
        job=_shown(JobRequest.model_validate_json(row.request)),
        paused=row.paused,
        created_at=row.created_at,
        next_at=row.next_at,
        runs=newest_runs(session, row.id, _SHOWN_RUNS),
    )


def _shown(request: JobRequest) -> JobRequest:
    """Pickles are large, and no view shows one."""
    if request.python is None:
        return request
    return request.model_copy(update={"python": request.python.model_copy(update={"code": ""})})


def newest_runs(session: Session, schedule_id: str, limit: int) -> list[ScheduleRun]:
    newest = (
        select(ScheduleRunRow, VersionRow)
        .outerjoin(VersionRow, VersionRow.snapshot == ScheduleRunRow.snapshot)
        .where(ScheduleRunRow.schedule_id == schedule_id)
        .order_by(ScheduleRunRow.due_at.desc())
        .limit(limit)
    )
    return [run_view(run, version) for run, version in session.execute(newest)]


def run_view(run: ScheduleRunRow, version: VersionRow | None = None) -> ScheduleRun:
    return ScheduleRun(
        due_at=run.due_at,
        state=run.state,
        job=run.job_id,
        version=None if version is None else version.version,
        started_at=run.started_at,
        finished_at=run.finished_at,
        problem=problem_from(run.problem),
    )


def add_run(change: Change, row: ScheduleRow, due_at: datetime) -> ScheduleRunRow:
    """A time whose turn comes; the one that is there if there is one."""
    known = change.session.scalars(select(ScheduleRunRow).filter_by(schedule_id=row.id, due_at=due_at)).first()
    if known is not None:
        return known
    run = ScheduleRunRow(tenant=row.tenant, principal=row.principal, schedule_id=row.id, due_at=due_at, state="waiting")
    change.session.add(run)
    change.session.flush()
    change.wakes.add(SCHEDULES)
    return run


def leave_out(change: Change, runs: Iterable[ScheduleRunRow], reason: str) -> None:
    """End runs that did not begin, with the reason why they never will."""
    for run in runs:
        run.state = "skipped"
        run.finished_at = change.clock.now()
        run.problem = problem_of(RunLeftOut(reason=reason)).model_dump_json()
        change.wakes.add(SCHEDULES)


def waiting_runs(session: Session, schedule_id: str) -> list[ScheduleRunRow]:
    """The oldest first."""
    waiting = select(ScheduleRunRow).filter_by(schedule_id=schedule_id, state="waiting")
    return list(session.scalars(waiting.order_by(ScheduleRunRow.due_at)))


def forget_old_runs(change: Change, schedule_id: str) -> None:
    """Only the newest runs are kept of a schedule; what has not ended stays."""
    of_schedule = select(ScheduleRunRow.due_at).where(ScheduleRunRow.schedule_id == schedule_id)
    oldest = change.session.scalars(of_schedule.order_by(ScheduleRunRow.due_at.desc()).offset(_KEPT_RUNS)).first()
    if oldest is not None:
        change.session.execute(
            delete(ScheduleRunRow).where(
                ScheduleRunRow.schedule_id == schedule_id,
                ScheduleRunRow.due_at <= oldest,
                ScheduleRunRow.finished_at.is_not(None),
            )
        )
