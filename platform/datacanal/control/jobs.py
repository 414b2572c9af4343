"""The job service: submit, look at, cancel, retry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from datacanal.configuration import LimitsSection
from datacanal.control.catalogue import CatalogueBook
from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.dispatcher import PlanMemory, python_of, question_of
from datacanal.control.identity import caller_authority
from datacanal.control.planner import Compiled, Planner, Question
from datacanal.control.presence import Presence
from datacanal.control.queueing import count_queued, queued_because
from datacanal.control.signals import QUEUE
from datacanal.control.views import egress, event_view, job_view, logs, summary
from datacanal.domain.access import Principal, reads_logs, sees_job
from datacanal.domain.errors import (
    BadFunction,
    DatacanalError,
    IdempotencyConflict,
    Kind,
    NotAvailable,
    NotFound,
    QueueFull,
    ResultExpired,
    TimeoutTooLong,
    WrongState,
)
from datacanal.domain.fairness import Limits
from datacanal.domain.job import ENDED_JOBS, CancelAsked, JobState
from datacanal.protocol.authority import Authority
from datacanal.protocol.plan import Plan
from datacanal.protocol.public import Event, JobEgress, JobList, JobLogs, JobRequest, JobView, Timeouts
from datacanal.state.models import AttemptRow, EventRow, JobRow, StepRow

_EVENTS_AT_ONCE = 500


@dataclass(frozen=True)
class Submission:
    """A request with all that identifies it."""

    request: JobRequest
    idempotency_key: str | None = None
    retry_of: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same request."""
        body = json.dumps([self.request.model_dump(mode="json"), self.retry_of], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class ResultPlace:
    """Where a result can be had, and the word of whoever asks for it to that site, unsigned."""

    job: str
    site: str
    authority: Authority


class JobService:
    """What the public API does with jobs; every method acts for a principal."""

    def __init__(
        self,
        desk: Desk,
        planner: Planner,
        memory: PlanMemory,
        catalogue: CatalogueBook,
        presence: Presence,
        limits: LimitsSection,
    ) -> None:
        self._desk = desk
        self._planner = planner
        self._memory = memory
        self._catalogue = catalogue
        self._presence = presence
        self._limits = limits
        self._fair = Limits(limits.running_jobs, limits.running_jobs_per_user)

    async def submit(self, principal: Principal, submission: Submission) -> tuple[JobView, bool]:
        """Check the request whole, then store it as a queued job; True when the job is new.

        The same key with the same request gives the same job. Raises whatever is wrong with the request.
        """
        if submission.idempotency_key is not None:
            known = await self._desk.read(lambda session: _known(session, principal, submission))
            if known is not None:
                return await self.view(principal, known), False
        timeouts = self._checked(submission.request)
        job_id = self._desk.clock.new_id("job")
        row = self._row(job_id, principal, submission, timeouts)
        compiled = await self._compiled(row)
        if compiled is not None:
            self._memory.keep(job_id, compiled)
        return await self._desk.write(lambda change: self._store(change, principal, submission, row))

    async def explain(self, principal: Principal, request: JobRequest) -> Plan:
        """The plan that the statement or function would get now. Nothing is stored."""
        self._checked(request)
        question = Question(
            principal.tenant,
            request.sql,
            request.params,
            self._desk.clock.now(),
            principal.name,
            principal.groups,
            request.purpose,
            request.python,
        )
        return (await self._planner.plan(question)).plan.without_pickles()

    async def view(self, principal: Principal, job_id: str) -> JobView:
        """Raises `NotFound`, also for the jobs of others."""
        return await self._desk.read(lambda session: self._view(session, _seen(session, principal, job_id)))

    async def list_jobs(self, principal: Principal, state: str | None, after: str | None, limit: int) -> JobList:
        """The newest first."""
        newest = select(JobRow).where(JobRow.tenant == principal.tenant).order_by(JobRow.id.desc()).limit(limit + 1)
        if principal.role != "admin":
            newest = newest.where(JobRow.principal == principal.name)
        if state is not None:
            newest = newest.where(JobRow.state == state)
        if after is not None:
            newest = newest.where(JobRow.id < after)
        # Plans are large, and a list shows none.
        rows = await self._desk.read(lambda session: session.scalars(newest.options(defer(JobRow.plan))).all())
        return JobList(
            jobs=[summary(row) for row in rows[:limit]], next=rows[limit - 1].id if len(rows) > limit else None
        )

    async def logs(self, principal: Principal, job_id: str) -> JobLogs:
        """What each attempt said."""

        def look(session: Session) -> JobLogs:
            return logs(job_id, _attempts(session, _seen(session, principal, job_id, reads_logs).id))

        return await self._desk.read(look)

    async def sayers(self, principal: Principal, job_id: str) -> dict[str, Authority]:
        """The sites where attempts of the job ran, and the principal's word to each, unsigned."""

        def look(session: Session) -> dict[str, Authority]:
            row = _seen(session, principal, job_id, reads_logs)
            now = self._desk.clock.now()
            sites = {attempt.site for attempt in _attempts(session, row.id)}
            return {site: caller_authority(row, principal, site, now) for site in sorted(sites)}

        return await self._desk.read(look)

    async def egress(self, principal: Principal, job_id: str) -> JobEgress:
        """What sites told of their records."""

        def look(session: Session) -> JobEgress:
            return egress(job_id, _attempts(session, _seen(session, principal, job_id).id))

        return await self._desk.read(look)

    async def events(self, principal: Principal, job_id: str, after: int) -> tuple[list[Event], bool]:
        """The events after that number, and whether they are the last ones there will be."""

        def look(session: Session) -> tuple[list[Event], bool]:
            row = _seen(session, principal, job_id)
            later = select(EventRow).where(EventRow.job_id == row.id, EventRow.seq > after).order_by(EventRow.seq)
            events = session.scalars(later.limit(_EVENTS_AT_ONCE)).all()
            return [event_view(event) for event in events], row.state in ENDED_JOBS and len(events) < _EVENTS_AT_ONCE

        return await self._desk.read(look)

    async def cancel(self, principal: Principal, job_id: str) -> JobView:
        """Ask the job to end; asking again, or after its end, changes nothing."""

        def ask(change: Change) -> None:
            change.apply(_seen(change.session, principal, job_id), CancelAsked())

        await self._desk.write(ask)
        return await self.view(principal, job_id)

    async def retry(self, principal: Principal, job_id: str, key: str | None) -> tuple[JobView, bool]:
        """Submit an ended job's statement or function again, as a new job."""
        ended = await self.view(principal, job_id)
        if ended.state not in ENDED_JOBS:
            hint = "Wait until it ends, or cancel it first."
            raise WrongState(what=f"job {job_id}", state=ended.state, action="be retried", hint=hint)
        request = await self._desk.read(lambda session: _request_of(session.get_one(JobRow, job_id), ended))
        return await self.submit(principal, Submission(request, key, retry_of=job_id))

    async def result(self, principal: Principal, job_id: str) -> ResultPlace:
        """Where the result lies. Raises `WrongState` for a job without one, `ResultExpired`."""

        def look(session: Session) -> ResultPlace:
            row = _seen(session, principal, job_id)
            if row.state != JobState.SUCCEEDED:
                hint = "Wait until it succeeds." if row.state not in ENDED_JOBS else "Retry it."
                raise WrongState(what=f"job {job_id}", state=row.state, action="give a result", hint=hint)
            if row.result_dropped or (row.result_expires_at and row.result_expires_at <= self._desk.clock.now()):
                raise ResultExpired(job=job_id, expired_at=f"{row.result_expires_at:%Y-%m-%d %H:%M:%S} UTC")
            site = next(step.site for step in row.steps if step.id == row.result_step)
            return ResultPlace(job_id, site, caller_authority(row, principal, site, self._desk.clock.now()))

        return await self._desk.read(look)

    def _checked(self, request: JobRequest) -> Timeouts:
        _check_kind(request)
        asked = request.timeouts.model_dump()
        limits = {name: getattr(self._limits, name) for name in asked}
        for name, value in asked.items():
            if value is not None and value > limits[name]:
                raise TimeoutTooLong(field=f"timeouts.{name}", asked_s=value, limit_s=limits[name], clock=name)
        return Timeouts(**{name: limits[name] if value is None else value for name, value in asked.items()})

    async def _compiled(self, row: JobRow) -> Compiled | None:
        """The plan; None where only a site that is away keeps it from being made, which may change."""
        try:
            return await self._planner.plan(question_of(row))
        except DatacanalError as error:
            if error.kind is Kind.EXTERNAL and error.retriable:
                return None
            raise

    def _row(self, job_id: str, principal: Principal, submission: Submission, timeouts: Timeouts) -> JobRow:
        request, now, monotonic = submission.request, self._desk.clock.now(), self._desk.clock.monotonic()
        return JobRow(
            id=job_id,
            tenant=principal.tenant,
            principal=principal.name,
            role=principal.role,
            groups=json.dumps(principal.groups, ensure_ascii=False),
            kind=request.kind,
            sql=request.sql if request.python is None else request.python.name,
            python=None if request.python is None else request.python.model_dump_json(),
            params=json.dumps(request.params, ensure_ascii=False),
            purpose=request.purpose,
            idempotency_key=submission.idempotency_key,
            request_digest=submission.digest,
            retry_of=submission.retry_of,
            state=JobState.QUEUED,
            submitted_at=now,
            queue_timeout_s=timeouts.queue_timeout_s,
            run_timeout_s=timeouts.run_timeout_s,
            total_timeout_s=timeouts.total_timeout_s,
            queue_until=monotonic + (timeouts.queue_timeout_s or 0),
            total_until=monotonic + (timeouts.total_timeout_s or 0),
        )

    def _store(self, change: Change, principal: Principal, submission: Submission, row: JobRow) -> tuple[JobView, bool]:
        known = _known(change.session, principal, submission)
        if known is not None:
            return self._view(change.session, change.session.get_one(JobRow, known)), False
        waiting = count_queued(change.session)
        if waiting >= self._limits.waiting_jobs:
            raise QueueFull(waiting=waiting, limit=self._limits.waiting_jobs)
        change.session.add(row)
        change.session.flush()
        change.note(row, "job_queued")
        change.wakes.add(QUEUE)
        return self._view(change.session, row), True

    def _view(self, session: Session, row: JobRow) -> JobView:
        because = queued_because(session, row, self._fair) if row.state == JobState.QUEUED else None
        return job_view(row, _attempts(session, row.id), self._desk.clock.now(), because, self._why_ready)

    def _why_ready(self, row: StepRow) -> str:
        """Why an agent did not take the step yet."""
        known = self._catalogue.known(row.tenant)
        if not self._presence.connected(row.site):
            return self._catalogue.absence(known, row.site)
        away = self._away_inputs(row)
        if away is not None:
            return f"its input from step {away.id} cannot be fetched: {self._catalogue.absence(known, away.site)}"
        unknown = self._unknown_consumer(row)
        if unknown is not None:
            return f"its output is for site {unknown}, which has never connected"
        if row.retry_until is not None:
            return f"tried again in a moment: attempt {row.attempt} did not succeed"
        hello = known.hellos.get(row.site)
        return f"all {hello.slots if hello else 0} slots of site {row.site} are busy"

    def _away_inputs(self, row: StepRow) -> StepRow | None:
        needs = json.loads(row.needs)
        return next(
            (step for step in row.job.steps if step.id in needs and not self._presence.connected(step.site)), None
        )

    def _unknown_consumer(self, row: StepRow) -> str | None:
        hellos = self._catalogue.known(row.tenant).hellos
        consumers = [step for step in row.job.steps if row.id in json.loads(step.needs)]
        return next((step.site for step in consumers if step.site not in hellos), None)


def _check_kind(request: JobRequest) -> None:
    if request.kind == "pipeline":
        raise NotAvailable(key="kind", what="a job of the kind 'pipeline'", hint='Use kind = "sql" or "python".')
    is_python = request.kind == "python"
    if is_python != (request.python is not None):
        reason = "a job of the kind 'python' needs it" if is_python else "only a job of the kind 'python' has it"
        raise BadFunction(field="python", reason=reason)
    if is_python and request.sql:
        raise BadFunction(field="sql", reason="a function reads what SQL gives through python.inputs")


def _request_of(row: JobRow, seen: JobView) -> JobRequest:
    """What was asked for when the job was submitted."""
    python = python_of(row)
    asked = {"params": seen.params, "timeouts": seen.timeouts, "purpose": seen.purpose}
    if python is not None:
        return JobRequest(kind="python", python=python, **asked)
    return JobRequest(sql=seen.sql, **asked)


def _known(session: Session, principal: Principal, submission: Submission) -> str | None:
    """The job that this key made before. Raises `IdempotencyConflict`."""
    if submission.idempotency_key is None:
        return None
    row = session.scalars(
        select(JobRow).filter_by(
            tenant=principal.tenant, principal=principal.name, idempotency_key=submission.idempotency_key
        )
    ).first()
    if row is not None and row.request_digest != submission.digest:
        raise IdempotencyConflict(key=submission.idempotency_key)
    return None if row is None else row.id


def _seen(session: Session, principal: Principal, job_id: str, sees: Callable[..., bool] = sees_job) -> JobRow:
    row = session.get(JobRow, job_id)
    if row is None or not sees(principal, row.tenant, row.principal):
        raise NotFound(what="job", name=job_id)
    return row


def _attempts(session: Session, job_id: str) -> list[AttemptRow]:
    of_job = select(AttemptRow).where(AttemptRow.job_id == job_id)
    return list(session.scalars(of_job.order_by(AttemptRow.started_at, AttemptRow.fence)))
