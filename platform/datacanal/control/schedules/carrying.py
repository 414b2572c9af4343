"""One run from its turn to its end: the job, and the version that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.jobs import Submission
from datacanal.control.schedules.publishing import Publisher
from datacanal.control.schedules.rows import owner_of
from datacanal.control.signals import job_end_signal
from datacanal.domain.access import Principal
from datacanal.domain.errors import JobCancelled
from datacanal.domain.job import ENDED_JOBS, JobState
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.public import JobRequest, JobView
from datacanal.state.product_models import ScheduleRow, ScheduleRunRow

_LOOK_S = 60.0


@dataclass(frozen=True)
class Turn:
    """What a run is to do, and how far it has come: `job` and `snapshot` are there once they are begun."""

    run: int
    schedule: str
    owner: Principal
    request: JobRequest
    key: str
    product: str | None
    promote: bool
    job: str | None
    snapshot: str | None


def turn_of(session: Session, run_id: int) -> Turn | None:
    """None for a run that was removed."""
    run = session.get(ScheduleRunRow, run_id)
    if run is None:
        return None
    row = session.get_one(ScheduleRow, run.schedule_id)
    return Turn(
        run=run_id,
        schedule=row.name,
        owner=owner_of(row),
        request=JobRequest.model_validate_json(row.request),
        key=f"schedule:{row.id}:{run.due_at.isoformat()}",
        product=row.product,
        promote=row.promote,
        job=run.job_id,
        snapshot=run.snapshot,
    )


class Jobs(Protocol):
    """The part of the job service that a run needs."""

    async def submit(self, principal: Principal, submission: Submission) -> tuple[JobView, bool]: ...

    async def view(self, principal: Principal, job_id: str) -> JobView: ...


class Carrier:
    """Carries runs out. What was begun before a crash is found again: the job by its key, the version by its job."""

    def __init__(self, desk: Desk, jobs: Jobs, publisher: Publisher) -> None:
        self._desk = desk
        self._jobs = jobs
        self._publisher = publisher

    async def carry(self, turn: Turn) -> Problem | None:
        """Come back at the run's end, with what went wrong. Raises what keeps the job or the version from beginning."""
        job = turn.job or await self._submitted(turn)
        ended = await self._end_of(turn.owner, job)
        if ended.state != JobState.SUCCEEDED:
            return ended.problem or problem_of(JobCancelled(job=job))
        if turn.product is None:
            return None
        snapshot = turn.snapshot or await self._published(turn, turn.product, job)
        return await self._publisher.outcome(snapshot)

    async def _submitted(self, turn: Turn) -> str:
        view, _ = await self._jobs.submit(turn.owner, Submission(turn.request, turn.key))
        await self._desk.write(lambda change: _note(change, turn.run, job_id=view.id))
        return view.id

    async def _end_of(self, owner: Principal, job: str) -> JobView:
        with self._desk.signals.subscribe(job_end_signal(job)) as end:
            while True:
                view = await self._jobs.view(owner, job)
                if view.state in ENDED_JOBS:
                    return view
                await end.next(_LOOK_S)

    async def _published(self, turn: Turn, product: str, job: str) -> str:
        snapshot = await self._publisher.publish(turn.owner, product, job, promote=turn.promote, schedule=turn.schedule)
        await self._desk.write(lambda change: _note(change, turn.run, state="publishing", snapshot=snapshot))
        return snapshot


def _note(change: Change, run_id: int, **fields: str) -> None:
    run = change.session.get(ScheduleRunRow, run_id)
    for name, value in fields.items() if run is not None else ():
        setattr(run, name, value)
