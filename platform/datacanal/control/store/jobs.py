"""Jobs between their rows and the domain's values. The only place that writes a state into a row."""

from __future__ import annotations

import json

from datacanal.domain.errors import DatacanalError
from datacanal.domain.job import Job, JobState
from datacanal.domain.step import Step, StepState
from datacanal.protocol.plan import Plan, TransferInput
from datacanal.protocol.problem import Problem, error_of, problem_of
from datacanal.state.models import JobRow, StepRow


def job_of(row: JobRow) -> Job:
    """The job that the rows describe."""
    return Job(
        id=row.id,
        state=JobState(row.state),
        cancel_requested=row.cancel_requested,
        error=error_from(row.problem),
        result_step=row.result_step,
        steps={step.id: step_of(step) for step in row.steps},
    )


def step_of(row: StepRow) -> Step:
    """The step that the row describes."""
    return Step(
        id=row.id,
        site=row.site,
        needs=tuple(json.loads(row.needs)),
        state=StepState(row.state),
        attempt=row.attempt,
        fence=row.fence,
        session=row.session,
        error=error_from(row.problem),
    )


def write_job(row: JobRow, job: Job) -> None:
    """Make the rows describe the job."""
    row.state = job.state
    row.cancel_requested = job.cancel_requested
    row.problem = problem_text(job.error)
    row.result_step = job.result_step
    rows = {step.id: step for step in row.steps}
    for step in job.steps.values():
        _write_step(rows[step.id], step)


def _write_step(row: StepRow, step: Step) -> None:
    row.state = step.state
    row.attempt = step.attempt
    row.fence = step.fence
    row.session = step.session
    row.problem = problem_text(step.error)


def steps_of_plan(plan: Plan) -> tuple[Step, ...]:
    """The steps of a plan, none of them begun."""
    return tuple(
        Step(
            id=step.id,
            site=step.site,
            needs=tuple(item.from_step for item in step.inputs if isinstance(item, TransferInput)),
        )
        for step in plan.steps
    )


def rows_of_plan(row: JobRow, plan: Plan) -> list[StepRow]:
    """A row for every step of the plan."""
    return [
        StepRow(
            tenant=row.tenant,
            principal=row.principal,
            id=step.id,
            position=position,
            site=step.site,
            kind=step.kind,
            needs=json.dumps(begun.needs),
            state=begun.state,
        )
        for position, (step, begun) in enumerate(zip(plan.steps, steps_of_plan(plan), strict=True))
    ]


def problem_text(error: DatacanalError | None) -> str | None:
    """A problem document's text for the store."""
    return None if error is None else problem_of(error).model_dump_json()


def problem_from(text: str | None) -> Problem | None:
    return None if text is None else Problem.model_validate_json(text)


def error_from(text: str | None) -> DatacanalError | None:
    problem = problem_from(text)
    return None if problem is None else error_of(problem)
