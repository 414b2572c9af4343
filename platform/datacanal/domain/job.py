"""The life of a job: one table, one pure function over the job and its steps together.

`advance` gives the job after an event and the effects that follow from it. The caller saves both in one transaction
and carries the effects out afterwards; each may be carried out twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from datacanal.domain import step as steps
from datacanal.domain.errors import DatacanalError, OutputLost
from datacanal.domain.step import ACTIVE_STEPS, ENDED_STEPS, Step, StepEvent, StepState


class JobState(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED_JOBS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
LIVE_JOBS = frozenset(JobState) - ENDED_JOBS


class JobMove(StrEnum):
    PLAN = "plan"
    RUN = "run"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


MOVES: dict[tuple[JobState, JobMove], JobState] = {
    (JobState.QUEUED, JobMove.PLAN): JobState.PLANNING,
    (JobState.PLANNING, JobMove.RUN): JobState.RUNNING,
    (JobState.RUNNING, JobMove.SUCCEED): JobState.SUCCEEDED,
    (JobState.QUEUED, JobMove.FAIL): JobState.FAILED,
    (JobState.PLANNING, JobMove.FAIL): JobState.FAILED,
    (JobState.RUNNING, JobMove.FAIL): JobState.FAILED,
    (JobState.QUEUED, JobMove.CANCEL): JobState.CANCELLED,
    (JobState.PLANNING, JobMove.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, JobMove.CANCEL): JobState.CANCELLED,
}


@dataclass(frozen=True)
class Job:
    """A job with its steps by id, in the plan's order; it has no steps before it was planned."""

    id: str
    state: JobState = JobState.QUEUED
    cancel_requested: bool = False
    error: DatacanalError | None = None
    result_step: str | None = None
    steps: Mapping[str, Step] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanningStarted:
    """It left the queue."""


@dataclass(frozen=True)
class Planned:
    """Its plan stands."""

    steps: tuple[Step, ...]
    result_step: str


@dataclass(frozen=True)
class StepMoved:
    """Something happened to one of its steps."""

    step: str
    event: StepEvent


@dataclass(frozen=True)
class CancelAsked:
    """Somebody who may do so wants it to end."""


@dataclass(frozen=True)
class GraceOver:
    """The agents had their time to stop after a cancel."""


@dataclass(frozen=True)
class GaveUp:
    """It cannot go on: refused by the planner, or out of time."""

    error: DatacanalError


JobEvent = PlanningStarted | Planned | StepMoved | CancelAsked | GraceOver | GaveUp


@dataclass(frozen=True)
class JobChanged:
    """For the event log: the job entered this state."""

    state: JobState


@dataclass(frozen=True)
class CancelNoted:
    """For the event log: a cancel was asked for while steps ran."""


@dataclass(frozen=True)
class StepChanged:
    """For the event log, and for the agents of its site."""

    before: Step
    after: Step


@dataclass(frozen=True)
class Drop:
    """Everything that the site keeps for the job may go."""

    site: str


Effect = JobChanged | CancelNoted | StepChanged | Drop


def advance(job: Job, event: JobEvent) -> tuple[Job, list[Effect]]:
    """The job after the event, and what follows from it. A job that has ended never moves.

    Raises `StaleFence` for a report of an attempt that was taken over, or of a job that has ended.
    """
    if job.state in ENDED_JOBS:
        _refuse_late_report(job, event)
        return job, []
    moved = _moved(job, event)
    return moved, _effects(job, moved)


def _refuse_late_report(job: Job, event: JobEvent) -> None:
    """Lets the report of the attempt that ended the job come twice, and refuses every other."""
    if isinstance(event, StepMoved):
        steps.advance(job.steps[event.step], event.event)


def _moved(job: Job, event: JobEvent) -> Job:
    match event:
        case PlanningStarted():
            return _enter(job, JobMove.PLAN)
        case Planned(planned, result_step):
            known = replace(job, steps={step.id: step for step in planned}, result_step=result_step)
            return _settled(_enter(known, JobMove.RUN)) if job.state is JobState.PLANNING else job
        case StepMoved(step_id, step_event):
            return _settled(_with_step(job, step_id, step_event))
        case CancelAsked():
            return _cancelling(job)
        case GraceOver():
            return _ended(job, JobMove.CANCEL) if job.cancel_requested else job
        case GaveUp(error):
            return _ended(replace(job, error=error), JobMove.FAIL)


def _enter(job: Job, move: JobMove) -> Job:
    target = MOVES.get((job.state, move))
    return job if target is None else replace(job, state=target)


def _with_step(job: Job, step_id: str, event: StepEvent) -> Job:
    moved = steps.advance(job.steps[step_id], event)
    job = replace(job, steps={**job.steps, step_id: moved})
    if isinstance(event, steps.AttemptFailed) and event.error.code == OutputLost.code:
        return _redo_producer(job, moved, event.error)
    return job


def _redo_producer(job: Job, consumer: Step, error: DatacanalError) -> Job:
    producer = str(error.data.get("step"))
    if producer in consumer.needs and consumer.state is StepState.READY:
        return _with_step(job, producer, steps.OutputGone(error))
    return job


def _settled(job: Job) -> Job:
    """Draw every consequence of the steps' states for each other and for the job."""
    job = replace(job, steps={step.id: _by_inputs(step, job.steps) for step in job.steps.values()})
    failed = next((step for step in job.steps.values() if step.state is StepState.FAILED), None)
    if job.cancel_requested:
        return _cancelling(job)
    if failed is not None:
        return _ended(replace(job, error=failed.error), JobMove.FAIL)
    if job.result_step is not None and job.steps[job.result_step].state is StepState.DONE:
        return _ended(job, JobMove.SUCCEED)
    return job


def _by_inputs(step: Step, all_steps: Mapping[str, Step]) -> Step:
    complete = all(all_steps[need].state is StepState.DONE for need in step.needs)
    return steps.advance(step, steps.InputsExist() if complete else steps.InputsGone())


def _cancelling(job: Job) -> Job:
    """Steps that no agent holds end at once; the job ends with the last of those that one does hold."""
    idle = [step.id for step in job.steps.values() if step.state not in ACTIVE_STEPS]
    asked = replace(_stopped(job, idle), cancel_requested=True)
    all_ended = all(step.state in ENDED_STEPS for step in asked.steps.values())
    return _ended(asked, JobMove.CANCEL) if all_ended else asked


def _ended(job: Job, move: JobMove) -> Job:
    return _enter(_stopped(job, job.steps), move)


def _stopped(job: Job, ids: Iterable[str]) -> Job:
    stopped = {step_id: steps.advance(job.steps[step_id], steps.Stopped()) for step_id in ids}
    return replace(job, steps={**job.steps, **stopped})


def _effects(before: Job, after: Job) -> list[Effect]:
    effects: list[Effect] = [
        StepChanged(before.steps.get(step.id, replace(step, state=StepState.WAITING)), step)
        for step in after.steps.values()
        if before.steps.get(step.id) != step
    ]
    if after.cancel_requested and not before.cancel_requested and after.state in LIVE_JOBS:
        effects.append(CancelNoted())
    if after.state is not before.state:
        effects.append(JobChanged(after.state))
    if after.state in ENDED_JOBS:
        effects += [Drop(site) for site in _sites_to_clear(after)]
    return effects


def _sites_to_clear(job: Job) -> list[str]:
    """Every site that worked for it, apart from the one that keeps its result."""
    keeps = job.steps[job.result_step].site if job.state is JobState.SUCCEEDED and job.result_step else None
    worked = {step.site for step in job.steps.values() if step.attempt}
    return sorted(worked - {keeps})
