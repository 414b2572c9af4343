"""Writes what ended jobs used into the book: each once, whenever this process is killed.

The job is marked after the book has it. What is found unmarked may stand there already; its request id says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import Connection, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.costs import costs_of
from datacanal.control.desk import Desk
from datacanal.control.signals import QUEUE
from datacanal.domain.errors import StoreUnavailable
from datacanal.domain.job import JobState
from datacanal.domain.usage import Dimension, EventKind, Outcome, internal_terms
from datacanal.ledger.book import Draft, append
from datacanal.ledger.models import EventRow
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.plan import Plan
from datacanal.state.models import AttemptRow, JobRow

_AT_ONCE = 100
_LONGEST_PAUSE_S = 60.0
_RETRY_S = 2.0
_log = structlog.get_logger()


def request_of(job: str) -> str:
    """The request id that a job's event stands under."""
    return f"job:{job}"


class JobMeter:
    """Runs for as long as the control plane does."""

    def __init__(self, desk: Desk, ledger: LedgerStore) -> None:
        self._desk = desk
        self._ledger = ledger

    async def run(self) -> None:
        """Write whenever a job ends, beginning with those that ended before."""
        with self._desk.signals.subscribe(QUEUE) as queue:
            while True:
                await queue.next(_LONGEST_PAUSE_S if await self._written() else _RETRY_S)

    async def meter(self) -> int:
        """Write and mark some of the jobs that ended; gives how many. Raises what keeps the book from being written."""
        found = await self._desk.read(self._ended)
        if found:
            await asyncio.to_thread(self._append, found)
            await self._desk.write(lambda change: _mark(change, [job for job, _ in found]))
        return len(found)

    async def _written(self) -> bool:
        try:
            while await self.meter():
                pass
        except (
            SQLAlchemyError,
            StoreUnavailable,
            OSError,
        ) as error:  # the book's database is away, or its disk is full
            _log.warning("jobs_not_metered", failure=type(error).__name__)
            return False
        return True

    def _ended(self, session: Session) -> list[tuple[str, Draft]]:
        """Jobs that ended and are not marked, the oldest first, with their events."""
        unmarked = select(JobRow).where(JobRow.finished_at.is_not(None), JobRow.metered_at.is_(None))
        rows = session.scalars(unmarked.order_by(JobRow.id).limit(_AT_ONCE)).all()
        return [(row.id, self._draft(session, row)) for row in rows]

    def _draft(self, session: Session, row: JobRow) -> Draft:
        attempts = session.scalars(select(AttemptRow).where(AttemptRow.job_id == row.id)).all()
        costs = costs_of(Plan.model_validate_json(row.plan) if row.plan else None, attempts)
        terms = internal_terms(row.tenant, row.principal, "")
        return Draft(
            id=self._desk.clock.new_id("rcp"),
            kind=EventKind.JOB,
            outcome=Outcome.COMPLETE if row.state == JobState.SUCCEEDED else Outcome.ABORTED,
            tenant=row.tenant,
            principal=row.principal,
            account_id=terms.account,
            request_id=request_of(row.id),
            reserved_at=row.submitted_at,
            unit=Dimension.CALLS.value,
            scan_bytes=costs.scan_bytes,
            egress_bytes=costs.egress_bytes,
            worker_ms=costs.worker_ms,
        )

    def _append(self, found: Sequence[tuple[str, Draft]]) -> None:
        with self._ledger.writing() as connection:
            drafts = [draft for _, draft in found]
            there = _there(connection, drafts)
            append(connection, [draft for draft in drafts if _name(draft) not in there], self._desk.clock.now())


def _name(draft: Draft) -> tuple[str, str]:
    return draft.account_id, draft.request_id


def _there(connection: Connection, drafts: Sequence[Draft]) -> Collection[tuple[str, str]]:
    """Which of them the book has already."""
    names = select(EventRow.account_id, EventRow.request_id)
    found = names.where(tuple_(EventRow.account_id, EventRow.request_id).in_([_name(draft) for draft in drafts]))
    return {(account, request) for account, request in connection.execute(found)}


def _mark(change: Change, jobs: Sequence[str]) -> None:
    now = change.clock.now()
    change.session.execute(update(JobRow).where(JobRow.id.in_(jobs)).values(metered_at=now))
