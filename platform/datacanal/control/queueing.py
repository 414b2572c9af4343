"""The queue as the store sees it: who runs how much, who waits, which job is next."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datacanal.domain.fairness import Limits, Queued, choose_next, why_queued
from datacanal.domain.job import JobState
from datacanal.state.models import JobRow

_RUNS = (JobState.PLANNING, JobState.RUNNING)


def running_by_user(session: Session) -> dict[str, int]:
    """Jobs beyond the queue, per user (tenants apart)."""
    rows = session.execute(
        select(JobRow.tenant, JobRow.principal, func.count())
        .where(JobRow.state.in_(_RUNS))
        .group_by(JobRow.tenant, JobRow.principal)
    )
    return {_user(tenant, principal): count for tenant, principal, count in rows}


def next_queued(session: Session, limits: Limits) -> str | None:
    """The id of the job that may leave the queue now."""
    oldest = session.execute(
        select(func.min(JobRow.id), JobRow.tenant, JobRow.principal)
        .where(JobRow.state == JobState.QUEUED)
        .group_by(JobRow.tenant, JobRow.principal)
    )
    waiting = [Queued(job, _user(tenant, principal)) for job, tenant, principal in oldest]
    chosen = choose_next(waiting, running_by_user(session), limits) if waiting else None
    return None if chosen is None else chosen.job


def count_queued(session: Session) -> int:
    return session.scalar(select(func.count()).where(JobRow.state == JobState.QUEUED)) or 0


def queued_because(session: Session, row: JobRow, limits: Limits) -> str:
    """Why this queued job waits, in words."""
    older = select(func.count()).where(
        JobRow.state == JobState.QUEUED,
        JobRow.tenant == row.tenant,
        JobRow.principal == row.principal,
        JobRow.id < row.id,
    )
    return why_queued(_user(row.tenant, row.principal), session.scalar(older) or 0, running_by_user(session), limits)


def _user(tenant: str, principal: str) -> str:
    return f"{tenant}/{principal}"
