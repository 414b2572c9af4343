"""Takes jobs out of the queue and gives them their plans."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.planner import Compiled, Planner, Question
from datacanal.control.queueing import next_queued
from datacanal.control.signals import CATALOGUE, QUEUE
from datacanal.domain.errors import DatacanalError, Kind
from datacanal.domain.fairness import Limits
from datacanal.domain.job import GaveUp, JobState, PlanningStarted
from datacanal.protocol.public import PythonRequest
from datacanal.serving.handlers import failure_fields
from datacanal.state.models import JobRow

_REMEMBERED_PLANS = 1000
_REMEMBERED_CODE = 64 * 2**20
_log = structlog.get_logger()


def question_of(row: JobRow) -> Question:
    """What shall be planned for the job."""
    return Question(
        row.tenant,
        row.sql,
        json.loads(row.params),
        row.submitted_at,
        row.principal,
        json.loads(row.groups),
        row.purpose,
        python_of(row),
    )


def python_of(row: JobRow) -> PythonRequest | None:
    """The function that was submitted; None for a statement."""
    # Only of a function it is read from the store.
    return PythonRequest.model_validate_json(row.python or "") if row.kind == "python" else None


class PlanMemory:
    """Plans made while a statement was checked, for the moment when its job leaves the queue. The oldest go first.

    `most_code` bounds the characters of all functions in them.
    """

    def __init__(self, most_plans: int = _REMEMBERED_PLANS, most_code: int = _REMEMBERED_CODE) -> None:
        self._plans: OrderedDict[str, Compiled] = OrderedDict()
        self._most_plans = most_plans
        self._most_code = most_code
        self._code = 0

    def keep(self, job: str, compiled: Compiled) -> None:
        self._plans[job] = compiled
        self._code += _code(compiled)
        while len(self._plans) > self._most_plans or self._code > self._most_code:
            self.take(next(iter(self._plans)))

    def take(self, job: str) -> Compiled | None:
        found = self._plans.pop(job, None)
        self._code -= _code(found) if found is not None else 0
        return found


def _code(compiled: Compiled) -> int:
    works = [step.python for step in compiled.plan.steps if step.python is not None]
    return sum(len(work.code.pickle) + len(work.code.source) for work in works)


class Dispatcher:
    """Runs for as long as the control plane does."""

    def __init__(self, desk: Desk, planner: Planner, memory: PlanMemory, limits: Limits) -> None:
        self._desk = desk
        self._planner = planner
        self._memory = memory
        self._limits = limits
        self._planning: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Dispatch whenever a job is submitted or ends. Jobs found in planning are planned again."""
        with self._desk.signals.subscribe(QUEUE) as queue:
            for job in await self._desk.read(_in_planning):
                self._begin_planning(job)
            while True:
                for job in await self._desk.write(self._leave_queue):
                    self._begin_planning(job)
                await queue.next(timeout_s=60)

    def _leave_queue(self, change: Change) -> list[str]:
        """Move every job that may go out of the queue; those that are still to be planned."""
        unplanned = []
        while (job_id := next_queued(change.session, self._limits)) is not None:
            row = change.session.get_one(JobRow, job_id)
            change.apply(row, PlanningStarted())
            compiled = self._memory.take(job_id)
            if compiled is not None and self._planner.is_fresh(compiled, row.tenant):
                change.plan(row, compiled.plan)
            else:
                unplanned.append(job_id)
            change.session.flush()
        return unplanned

    def _begin_planning(self, job_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._plan(job_id))
        self._planning[job_id] = task
        task.add_done_callback(lambda _: self._planning.pop(job_id, None))

    async def _plan(self, job_id: str) -> None:
        """Plan until it works or the job ends: a site that is away may come back before the job's time is up."""
        with self._desk.signals.subscribe(CATALOGUE) as reports:
            while not await self._planned(job_id):
                await reports.next(timeout_s=60)

    async def _planned(self, job_id: str) -> bool:
        question = await self._desk.read(lambda session: _question(session.get_one(JobRow, job_id)))
        if question is None:
            return True
        try:
            compiled = await self._planner.plan(question)
        except DatacanalError as error:
            if error.kind is Kind.EXTERNAL and error.retriable:
                await self._wait_because(job_id, error)
                return False
            await self._give_up(job_id, error)
        except Exception as error:
            _log.error("planning_broke", job=job_id, **failure_fields(error))
            await self._give_up(job_id, DatacanalError())
        else:
            await self._desk.write(lambda change: change.plan(change.session.get_one(JobRow, job_id), compiled.plan))
        return True

    async def _give_up(self, job_id: str, error: DatacanalError) -> None:
        await self._desk.write(lambda change: change.apply(change.session.get_one(JobRow, job_id), GaveUp(error)))

    async def _wait_because(self, job_id: str, error: DatacanalError) -> None:
        def write(change: Change) -> None:
            change.session.get_one(JobRow, job_id).waits = error.detail

        await self._desk.write(write)

    async def close(self) -> None:
        """Stop planning; the jobs stay in planning and are planned again after the next start."""
        tasks = list(self._planning.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_planning(session: Session) -> list[str]:
    return list(session.scalars(select(JobRow.id).where(JobRow.state == JobState.PLANNING)))


def _question(row: JobRow) -> Question | None:
    return question_of(row) if row.state == JobState.PLANNING else None
