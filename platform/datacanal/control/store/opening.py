"""Open the store of a home directory: migrated, with deadlines that this boot's clock understands."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from datacanal.control.changes import LEASE_S
from datacanal.control.clock import Clock
from datacanal.domain.job import LIVE_JOBS
from datacanal.domain.step import ACTIVE_STEPS
from datacanal.state import DATABASE, MIGRATIONS
from datacanal.state.models import BootRow, JobRow, StepRow
from datacanal.storage.sqlite import open_database

_SYSTEM = {"tenant": "system", "principal": "system"}


def open_store(home: Path, clock: Clock) -> Engine:
    """The engine on the home's migrated database. The caller holds the home's lock."""
    engine = open_database(home / DATABASE, MIGRATIONS, begin="BEGIN")
    with Session(engine) as session, session.begin():
        _rebase(session, clock)
        _renew_leases(session, clock)
    return engine


def _renew_leases(session: Session, clock: Clock) -> None:
    """Agents could not reach us while we were away: one fresh lease each, so that they can come back."""
    session.execute(
        update(StepRow).where(StepRow.state.in_(ACTIVE_STEPS)).values(lease_until=clock.monotonic() + LEASE_S)
    )


def _rebase(session: Session, clock: Clock) -> None:
    """After a reboot of the machine its monotonic clock began anew: carry each deadline over by the wall clock."""
    boot = session.get(BootRow, 1)
    if boot is not None and boot.boot == clock.boot:
        return
    for job in session.scalars(select(JobRow).where(JobRow.state.in_(LIVE_JOBS))):
        _rebase_job(job, clock)
    session.execute(update(StepRow).values(retry_until=None))
    session.merge(BootRow(id=1, boot=clock.boot, at=clock.now(), **_SYSTEM))


def _rebase_job(job: JobRow, clock: Clock) -> None:
    def until(since_s: float, timeout_s: float) -> float:
        return clock.monotonic() + timeout_s - max(0.0, since_s)

    age_s = (clock.now() - job.submitted_at).total_seconds()
    job.queue_until = until(age_s, job.queue_timeout_s)
    job.total_until = until(age_s, job.total_timeout_s)
    if job.started_at is not None:
        job.run_until = until((clock.now() - job.started_at).total_seconds(), job.run_timeout_s)
    if job.cancel_until is not None:
        job.cancel_until = clock.monotonic()
