"""One change of the store: events applied to jobs, with everything that follows saved in the same transaction.

What must be told to somebody who waits is collected on the way and told after the commit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import insert
from sqlalchemy.orm import Session

from datacanal.control.clock import Clock
from datacanal.control.signals import QUEUE, job_end_signal, job_signal, site_signal
from datacanal.control.store.jobs import job_of, problem_text, rows_of_plan, steps_of_plan, write_job
from datacanal.domain.errors import AttemptLost, Kind, OutputLost
from datacanal.domain.job import (
    ENDED_JOBS,
    CancelNoted,
    Drop,
    Effect,
    Job,
    JobChanged,
    JobEvent,
    JobState,
    Planned,
    StepChanged,
    advance,
)
from datacanal.domain.step import ACTIVE_STEPS, Step, StepState
from datacanal.protocol.plan import Plan
from datacanal.protocol.site import StepRef
from datacanal.state.models import AttemptRow, EffectRow, EventRow, JobRow, StepRow

LEASE_S = 10.0
HEARTBEAT_S = 3.0
CANCEL_GRACE_S = 10.0
RETRY_DELAY_S = 2.0
# Another agent, or the same one again, may do it right now; anything else outside needs a moment to recover.
_RETRIED_AT_ONCE = frozenset({AttemptLost.code, OutputLost.code})


@dataclass
class Change:
    """A transaction in progress. `wakes` and `stops` (session, step) are told after the commit."""

    session: Session
    clock: Clock
    result_expiry_s: float
    wakes: set[str] = field(default_factory=set)
    stops: list[tuple[str, StepRef]] = field(default_factory=list)
    _events: list[dict[str, object]] = field(default_factory=list)

    def apply(self, row: JobRow, event: JobEvent) -> Job:
        """Apply the event to the job. Raises `StaleFence` as `advance` does."""
        before = job_of(row)
        after, effects = advance(before, event)
        write_job(row, after)
        for effect in effects:
            self._save(row, after, effect)
        if effects:
            self.wakes.add(job_signal(row.id))
        return after

    def plan(self, row: JobRow, plan: Plan) -> Job:
        """Give the job its plan; without effect on one that ended meanwhile."""
        if row.state != JobState.PLANNING:
            return job_of(row)
        row.plan = plan.model_dump_json()
        row.planned_at = self.clock.now()
        row.waits = None
        row.steps.extend(rows_of_plan(row, plan))
        return self.apply(row, Planned(steps_of_plan(plan), plan.result_step))

    def note(self, row: JobRow, event: str, **data: object) -> None:
        """Append to the job's events."""
        self._events.append(
            {
                "tenant": row.tenant,
                "principal": row.principal,
                "job_id": row.id,
                "at": self.clock.now(),
                "event": event,
                "data": json.dumps(data, ensure_ascii=False),
            }
        )
        self.wakes.add(job_signal(row.id))

    def finish(self) -> None:
        """Write what was collected, at the end of the transaction."""
        if self._events:
            self.session.flush()  # an event refers to a job that may be new
            self.session.execute(insert(EventRow), self._events)

    def drop(self, row: JobRow, site: str) -> None:
        """Let the site delete what it keeps for the job."""
        self.session.add(
            EffectRow(
                tenant=row.tenant,
                principal=row.principal,
                kind="drop",
                site=site,
                job_id=row.id,
                created_at=self.clock.now(),
            )
        )
        self.wakes.add(site_signal(site))

    def _save(self, row: JobRow, job: Job, effect: Effect) -> None:
        match effect:
            case JobChanged(state):
                self._enter(row, job, state)
            case StepChanged(before, after):
                self._step_changed(row, before, after)
            case CancelNoted():
                self._cancelling(row, job)
            case Drop(site):
                self.drop(row, site)

    def _enter(self, row: JobRow, job: Job, state: JobState) -> None:
        now = self.clock.now()
        if state is JobState.PLANNING:
            row.started_at = now
            row.run_until = self.clock.monotonic() + row.run_timeout_s
        if state is JobState.SUCCEEDED:
            row.result_expires_at = now + timedelta(seconds=self.result_expiry_s)
        if state in ENDED_JOBS:
            row.finished_at = now
            row.waits = None
            self.wakes |= {QUEUE, job_end_signal(row.id)}
        code = {"code": job.error.code} if job.error is not None else {}
        self.note(row, f"job_{state}", **code)

    def _cancelling(self, row: JobRow, job: Job) -> None:
        row.cancel_until = self.clock.monotonic() + CANCEL_GRACE_S
        self.note(row, "cancel_requested")
        for step in job.steps.values():
            self._stop(row, step)

    def _step_changed(self, row: JobRow, before: Step, after: Step) -> None:
        stored = next(step for step in row.steps if step.id == after.id)
        if before.state in ACTIVE_STEPS and after.state not in ACTIVE_STEPS:
            self._end_attempt(row, before, after)
        match after.state:
            case StepState.LEASED:
                self._begin_attempt(row, stored, after)
            case StepState.READY:
                self._offer(stored, after)
        data: dict[str, object] = {"step": after.id, "site": after.site, "attempt": after.attempt}
        if after.error is not None:
            data["code"] = after.error.code
        self.note(row, f"step_{after.state}", **data)

    def _offer(self, stored: StepRow, step: Step) -> None:
        pauses = step.error is not None and step.error.kind is Kind.EXTERNAL and step.error.code not in _RETRIED_AT_ONCE
        stored.retry_until = self.clock.monotonic() + RETRY_DELAY_S * step.attempt if pauses else None
        stored.output = None
        self.wakes.add(site_signal(step.site))

    def _begin_attempt(self, row: JobRow, stored: StepRow, step: Step) -> None:
        stored.lease_until = self.clock.monotonic() + LEASE_S
        stored.fraction = 0.0
        stored.waits = None
        self.session.add(
            AttemptRow(
                tenant=row.tenant,
                principal=row.principal,
                job_id=row.id,
                step_id=step.id,
                fence=step.fence,
                attempt=step.attempt,
                site=step.site,
                session=step.session or "",
                started_at=self.clock.now(),
            )
        )

    def _end_attempt(self, row: JobRow, before: Step, after: Step) -> None:
        self._stop_taken(row, before, after)
        attempt = self.session.get_one(AttemptRow, (row.id, before.id, before.fence))
        attempt.finished_at = self.clock.now()
        attempt.outcome = _outcome(before, after)
        attempt.problem = problem_text(after.error)

    def _stop_taken(self, row: JobRow, before: Step, after: Step) -> None:
        if after.fence != before.fence:
            self._stop(row, before)

    def _stop(self, row: JobRow, step: Step) -> None:
        if step.state in ACTIVE_STEPS and step.session is not None:
            self.stops.append((step.session, StepRef(job=row.id, step=step.id, fence=step.fence)))
            self.wakes.add(site_signal(step.site))


def _outcome(before: Step, after: Step) -> str:
    if after.state in (StepState.DONE, StepState.CANCELLED):
        return after.state
    taken_over = after.fence != before.fence
    return "lost" if taken_over else "failed"
