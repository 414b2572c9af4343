"""Open the state store to write it: migrated, with deadlines that this boot's clock understands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from datacanal.control.changes import LEASE_S
from datacanal.control.clock import Clock
from datacanal.domain.job import LIVE_JOBS
from datacanal.domain.step import ACTIVE_STEPS
from datacanal.state import PLACE
from datacanal.state.models import BootRow, JobRow, StepRow
from datacanal.storage.databases import open_to_read, open_to_write
from datacanal.storage.places import EMBEDDED

_SYSTEM = {"tenant": "system", "principal": "system"}


@dataclass(frozen=True)
class Store:
    """`writer` is the only one there is; `reader` sees what was committed, each transaction as of one moment."""

    writer: Engine
    reader: Engine

    def dispose(self) -> None:
        """Let go of the database."""
        self.writer.dispose()
        self.reader.dispose()


def open_store(home: Path, clock: Clock, database: str = EMBEDDED) -> Store:
    """The migrated store. The caller holds the home's lock.

    Raises `AlreadyRunning` where another control plane has the database, and `StoreUnavailable`.
    """
    writer = open_to_write(database, home, PLACE, begin="BEGIN", sole=True)
    with Session(writer) as session, session.begin():
        _rebase(session, clock)
        _renew_leases(session, clock)
    return Store(writer, open_to_read(database, home, PLACE))


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
