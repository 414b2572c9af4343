"""Rows as the public documents that show them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from datacanal.control.costs import costs_of, receipt_of, received_by
from datacanal.control.store.jobs import problem_from
from datacanal.domain.job import ENDED_JOBS, JobState
from datacanal.domain.step import ACTIVE_STEPS, StepState
from datacanal.protocol.plan import Plan
from datacanal.protocol.public import (
    AttemptView,
    EgressView,
    Event,
    JobEgress,
    JobLogs,
    JobStats,
    JobSummary,
    JobView,
    ResultColumn,
    ResultView,
    StepStats,
    StepView,
    Timeouts,
    TransferStats,
)
from datacanal.protocol.site import Done, EgressNote
from datacanal.state.models import AttemptRow, EventRow, JobRow, StepRow

_SUMMARY_CHARACTERS = 200

WhyReady = Callable[[StepRow], str]
"""Why a ready step was not leased yet, in words."""


def job_view(
    row: JobRow, attempts: list[AttemptRow], now: datetime, queued_because: str | None, why_ready: WhyReady
) -> JobView:
    """All there is to say about a job."""
    plan = Plan.model_validate_json(row.plan) if row.plan else None
    steps = [_step_view(step, attempts, why_ready) for step in row.steps]
    return JobView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        cancel_requested=row.cancel_requested,
        principal=row.principal,
        purpose=row.purpose,
        sql=row.sql,
        params=json.loads(row.params),
        timeouts=Timeouts(
            queue_timeout_s=row.queue_timeout_s,
            run_timeout_s=row.run_timeout_s,
            total_timeout_s=row.total_timeout_s,
        ),
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        retry_of=row.retry_of,
        waits=_waits(row, steps, queued_because),
        problem=problem_from(row.problem),
        plan=plan.without_pickles() if plan else None,
        steps=steps,
        stats=_stats(row, plan, attempts, now),
        result=_result(row, plan),
        worker_ms=costs_of(plan, attempts).worker_ms,
        receipt=receipt_of(row.id) if row.metered_at is not None else None,
    )


def _waits(row: JobRow, steps: Iterable[StepView], queued_because: str | None) -> str | None:
    if row.state in ENDED_JOBS:
        return None
    if any(step.state in ACTIVE_STEPS and step.waits is None for step in steps):
        return None
    return queued_because or row.waits or next((step.waits for step in steps if step.waits), None)


def _step_view(row: StepRow, attempts: list[AttemptRow], why_ready: WhyReady) -> StepView:
    done = Done.model_validate_json(row.output) if row.output else None
    return StepView(
        id=row.id,
        site=row.site,
        kind=row.kind,
        state=row.state,
        attempt=row.attempt,
        fraction=row.fraction,
        rows=done.rows if done else None,
        bytes=done.bytes if done else None,
        elapsed_ms=next((item.elapsed_ms for item in reversed(attempts) if item.step_id == row.id), None),
        waits=_step_waits(row, why_ready),
    )


def _step_waits(row: StepRow, why_ready: WhyReady) -> str | None:
    match row.state:
        case StepState.WAITING:
            return f"waiting for step {', '.join(json.loads(row.needs))}"
        case StepState.READY:
            return why_ready(row)
        case StepState.LEASED | StepState.RUNNING:
            return row.waits
        case _:
            return None


def _stats(row: JobRow, plan: Plan | None, attempts: list[AttemptRow], now: datetime) -> JobStats:
    received = [(attempt, item) for attempt in attempts for item in received_by(attempt)]
    transfers = [
        TransferStats.model_validate(
            {
                "from": transfer.from_site,
                "to": transfer.to_site,
                "kind": transfer.kind,
                "rows": max((item.rows for _, item in received if item.step == transfer.from_step), default=0),
                "bytes_wire": sum(
                    item.bytes
                    for attempt, item in received
                    if item.step == transfer.from_step and attempt.step_id == transfer.to_step
                ),
                "bytes_estimated": transfer.estimate.bytes,
            }
        )
        for transfer in (plan.transfers if plan else [])
    ]
    result, costs = _result(row, plan), costs_of(plan, attempts)
    return JobStats(
        job_id=row.id,
        state=row.state,
        elapsed_ms=_milliseconds(row.submitted_at, row.finished_at or now),
        bytes_scanned=costs.scan_bytes,
        bytes_moved=costs.egress_bytes,
        result_rows=result.rows if result else None,
        withheld_groups=_withheld(row),
        transfers=transfers,
        steps=[
            StepStats(
                id=step.id,
                site=step.site,
                kind=step.kind,
                elapsed_ms=sum(item.elapsed_ms or 0 for item in attempts if item.step_id == step.id),
            )
            for step in row.steps
        ],
    )


def _result(row: JobRow, plan: Plan | None) -> ResultView | None:
    if row.state != JobState.SUCCEEDED or row.result_expires_at is None or plan is None:
        return None
    step = next(item for item in row.steps if item.id == row.result_step)
    done = Done.model_validate_json(step.output or "")
    return ResultView(
        site=step.site,
        rows=done.rows,
        bytes=done.bytes,
        expires_at=row.result_expires_at,
        withheld_groups=_withheld(row),
        columns=[ResultColumn(name=column.name, type=column.type) for column in plan.columns],
    )


def _withheld(row: JobRow) -> int:
    return sum(Done.model_validate_json(step.output).withheld_groups for step in row.steps if step.output)


def _milliseconds(begin: datetime, end: datetime) -> int:
    return max(0, int((end - begin).total_seconds() * 1000))


def summary(row: JobRow) -> JobSummary:
    return JobSummary(
        id=row.id,
        kind=row.kind,
        state=row.state,
        principal=row.principal,
        submitted_at=row.submitted_at,
        finished_at=row.finished_at,
        sql=row.sql[:_SUMMARY_CHARACTERS],
    )


def logs(job: str, attempts: list[AttemptRow]) -> JobLogs:
    return JobLogs(
        job=job,
        attempts=[
            AttemptView(
                step=row.step_id,
                site=row.site,
                attempt=row.attempt,
                fence=row.fence,
                started_at=row.started_at,
                finished_at=row.finished_at,
                outcome=row.outcome,
                problem=problem_from(row.problem),
            )
            for row in attempts
        ],
    )


def egress(job: str, attempts: list[AttemptRow]) -> JobEgress:
    """Every entry once: each attempt of a step tells those of the attempts before it too."""
    notes = {
        (row.site, note.seq): (row.site, note)
        for row in attempts
        for note in map(EgressNote.model_validate, json.loads(row.egress))
    }
    told = sorted(notes.values(), key=lambda item: (item[1].at_ms, item[0], item[1].seq))
    return JobEgress(job=job, entries=[_egress_view(site, note) for site, note in told])


def _egress_view(site: str, note: EgressNote) -> EgressView:
    at = datetime.fromtimestamp(note.at_ms / 1000, UTC)
    return EgressView(site=site, at=at, **note.model_dump(exclude={"at_ms"}))


def event_view(row: EventRow) -> Event:
    return Event(seq=row.seq, at=row.at, job=row.job_id, event=row.event, data=json.loads(row.data))
