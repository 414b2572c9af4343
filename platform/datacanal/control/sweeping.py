"""What time alone brings about: lost leases, clocks that ran out, cancels whose grace is over, results that expire."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.sql.elements import ColumnElement

from datacanal.control.changes import Change
from datacanal.control.leases import lose_expired, release_retries
from datacanal.domain.errors import DatacanalError, SiteUnreachable, TimeoutExceeded
from datacanal.domain.job import LIVE_JOBS, GaveUp, GraceOver, JobState
from datacanal.domain.step import StepState
from datacanal.state.models import JobRow

Absence = Callable[[str, str], str | None]
"""Tenant and site to words about its absence; None while it is connected."""


def sweep(change: Change, absence: Absence) -> None:
    """Bring everything about that is due. Doing it twice changes nothing."""
    lose_expired(change)
    release_retries(change)
    _end_grace(change)
    _end_late_jobs(change, absence)
    _expire_results(change)


def _end_grace(change: Change) -> None:
    over = JobRow.cancel_until < change.clock.monotonic()
    for row in _live(change, over):
        change.apply(row, GraceOver())


def _end_late_jobs(change: Change, absence: Absence) -> None:
    now = change.clock.monotonic()
    for row in _live(change, JobRow.queue_until < now, JobRow.state == JobState.QUEUED):
        _time_out(change, row, TimeoutExceeded(clock="queue_timeout_s", limit_s=row.queue_timeout_s))
    for row in _live(change, JobRow.total_until < now):
        late = TimeoutExceeded(clock="total_timeout_s", limit_s=row.total_timeout_s)
        _time_out(change, row, _away(row, absence) or late)
    for row in _live(change, JobRow.run_until < now):
        late = TimeoutExceeded(clock="run_timeout_s", limit_s=row.run_timeout_s)
        _time_out(change, row, _away(row, absence) or late)


def _time_out(change: Change, row: JobRow, error: DatacanalError) -> None:
    change.apply(row, GraceOver() if row.cancel_requested else GaveUp(error))


def _away(row: JobRow, absence: Absence) -> DatacanalError | None:
    """A job that only waited for a site that is away fails with that cause."""
    for step in row.steps:
        words = absence(row.tenant, step.site) if step.state == StepState.READY else None
        if words is not None:
            return SiteUnreachable(site=step.site, reason=words)
    return None


def _expire_results(change: Change) -> None:
    expired = select(JobRow).where(JobRow.result_expires_at < change.clock.now(), JobRow.result_dropped.is_(False))
    for row in change.session.scalars(expired).all():
        row.result_dropped = True
        site = next(step.site for step in row.steps if step.id == row.result_step)
        change.drop(row, site)
        change.note(row, "result_expired")


def _live(change: Change, *conditions: ColumnElement[bool]) -> list[JobRow]:
    return list(change.session.scalars(select(JobRow).where(JobRow.state.in_(LIVE_JOBS), *conditions)))
