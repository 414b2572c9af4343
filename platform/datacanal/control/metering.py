"""Writes what ended jobs used into the book: each once, whenever this process is killed.

The job is marked after the book has it. What is found unmarked may stand there already; its request id says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.ended_jobs import Ended, ended_job
from datacanal.control.signals import QUEUE
from datacanal.domain.errors import StoreUnavailable
from datacanal.domain.usage import internal_terms
from datacanal.ledger.book import Draft
from datacanal.ledger.models import EventRow
from datacanal.ledger.page import Page
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.subscribed import terms_at
from datacanal.state.models import JobRow

_AT_ONCE = 100
_LONGEST_PAUSE_S = 60.0
_RETRY_S = 2.0
_log = structlog.get_logger()


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
            await self._desk.write(lambda change: _mark(change, [job.id for job in found]))
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

    def _ended(self, session: Session) -> list[Ended]:
        """Jobs that ended and are not marked, the oldest first."""
        unmarked = select(JobRow).where(JobRow.finished_at.is_not(None), JobRow.metered_at.is_(None))
        rows = session.scalars(unmarked.order_by(JobRow.id).limit(_AT_ONCE)).all()
        return [ended_job(session, row) for row in rows]

    def _append(self, found: Sequence[Ended]) -> None:
        with self._ledger.writing_rows() as session:
            page = Page(session.connection(), self._desk.clock.now())
            there = _there(session, found)
            for job in found:
                if _name(job.event) not in there:
                    page.record(job.event)
                    self._charge(session, page, job)
            page.write()

    def _charge(self, session: Session, page: Page, job: Ended) -> None:
        """What it read of products, on its submitter's subscriptions, whether it fits their quotas or not."""
        whose = job.event
        for used in job.products:
            terms = terms_at(session, whose.tenant, whose.principal, used.product, whose.reserved_at)
            internal = internal_terms(whose.tenant, whose.principal, used.product)
            page.record(used.event(self._desk.clock.new_id("rcp"), whose, terms or internal))
            if terms is not None:
                page.notice(terms, page.counted(terms, whose.reserved_at))


def _name(event: Draft) -> tuple[str, str]:
    return event.account_id, event.request_id


def _there(session: Session, found: Sequence[Ended]) -> Collection[tuple[str, str]]:
    """Which of them the book has already; with a job's own event it has all of the job's."""
    names = select(EventRow.account_id, EventRow.request_id)
    wanted = [_name(job.event) for job in found]
    rows = session.execute(names.where(tuple_(EventRow.account_id, EventRow.request_id).in_(wanted)))
    return {(account, request) for account, request in rows}


def _mark(change: Change, jobs: Sequence[str]) -> None:
    now = change.clock.now()
    change.session.execute(update(JobRow).where(JobRow.id.in_(jobs)).values(metered_at=now))
