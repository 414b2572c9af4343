"""The attempts that run at this site now: begun once each, reported until somebody has heard, stopped when told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from datacanal.domain.errors import AttemptLost, DatacanalError
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import Done, Failed, Finish, Lease, Progress, StepRef, Welcome
from datacanal.site.control_link import ControlLink
from datacanal.site.fleet.port import Pool
from datacanal.site.record.book import RecordBook
from datacanal.site.record.notes import note_of
from datacanal.site.runner import StepRunner
from datacanal.site.running import Running
from datacanal.site.session import Session
from datacanal.site.store.models import AttemptRow
from datacanal.site.store.work import WorkStore
from datacanal.site.tasks import task_id
from datacanal.site.words.reads import reads_of

_KILL_AGAIN_S = 0.5
_WORTH_TELLING_S = 0.3
"""A step that is over sooner is only reported as finished: half the words, and it was never seen running anyway."""
_NOTES_AT_MOST = 100
_log = structlog.get_logger()


@dataclass
class _Attempt:
    lease: Lease
    running: Running = field(default_factory=Running)
    work: asyncio.Task[None] | None = None
    step: asyncio.Task[Done | Failed] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ref(self) -> StepRef:
        return StepRef(job=self.lease.job, step=self.lease.step, fence=self.lease.fence)


class Attempts:
    """Lives in one event loop."""

    def __init__(
        self,
        runner: StepRunner,
        pool: Pool,
        link: ControlLink,
        session: Session,
        work: WorkStore,
        record: RecordBook,
        clock: Callable[[], datetime],
    ) -> None:
        self._runner = runner
        self._pool = pool
        self._link = link
        self._session = session
        self._work = work
        self._record = record
        self._clock = clock
        self._attempts: dict[tuple[str, str], _Attempt] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def begin(self, lease: Lease) -> None:
        """Run the lease, unless it or a newer one of its step runs already; an older one makes room."""
        key = (lease.job, lease.step)
        before = self._attempts.get(key)
        if before is not None and before.lease.fence >= lease.fence:
            return
        attempt = _Attempt(lease)
        self._attempts[key] = attempt
        attempt.work = asyncio.create_task(self._run(attempt, before))

    def progress(self) -> list[Progress]:
        """For the heartbeat: every attempt whose outcome is not acknowledged."""
        return [
            Progress(
                job=attempt.lease.job,
                step=attempt.lease.step,
                fence=attempt.lease.fence,
                fraction=attempt.running.fraction,
                waits=attempt.running.waits,
            )
            for attempt in self._attempts.values()
        ]

    async def stop(self, ref: StepRef) -> None:
        """End the attempt if it runs, and report it as lost."""
        attempt = self._attempts.get((ref.job, ref.step))
        if attempt is not None and attempt.lease.fence <= ref.fence:
            await self._stop(attempt)

    async def stop_job(self, job: str) -> None:
        """End every attempt of the job."""
        for attempt in [attempt for attempt in self._attempts.values() if attempt.lease.job == job]:
            await self._stop(attempt)

    async def close(self) -> None:
        """Let go of everything without a word: the next boot's hello frees the leases."""
        works = [attempt.work for attempt in self._attempts.values() if attempt.work is not None]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _stop(self, attempt: _Attempt) -> None:
        """End the step wherever it is. What runs in the pool is killed there: a cancelled wait would leave it going."""
        attempt.stopping.set()
        step = attempt.step
        while step is not None and not step.done():
            if attempt.running.in_pool:
                await self._pool.kill(task_id(attempt.lease))
            else:
                step.cancel()
            await asyncio.wait([step], timeout=_KILL_AGAIN_S)

    async def _run(self, attempt: _Attempt, before: _Attempt | None) -> None:
        if before is not None:
            await self._stop(before)
        start = asyncio.create_task(self._report_start(attempt))
        try:
            outcome = await self._outcome(attempt)
            attempt.over.set()
            await start
            await self._report(attempt, await asyncio.to_thread(self._with_notes, attempt.lease, outcome))
        finally:
            start.cancel()
            key = (attempt.lease.job, attempt.lease.step)
            if self._attempts.get(key) is attempt:
                del self._attempts[key]
        await asyncio.to_thread(self._work.save_attempt, _row(attempt, outcome, self._clock()))

    async def _outcome(self, attempt: _Attempt) -> Done | Failed:
        if attempt.stopping.is_set():
            return _stopped()
        attempt.step = asyncio.create_task(self._runner.run(attempt.lease, attempt.running))
        try:
            return await attempt.step
        except asyncio.CancelledError:
            if not attempt.stopping.is_set():  # the agent itself stops
                attempt.step.cancel()
                raise
            return _stopped()
        except Exception as error:
            # A fault of ours must fail the step, not leave it without an outcome; its words may quote data.
            _log.exception("step_broke", job=attempt.lease.job, step=attempt.lease.step, error=type(error).__name__)
            return Failed(problem=problem_of(DatacanalError()), elapsed_ms=0)

    async def _report_start(self, attempt: _Attempt) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(attempt.over.wait(), _WORTH_TELLING_S)
            return
        try:
            await self._session.call("start", lambda welcome: self._link.start(attempt.ref, welcome.session))
        except DatacanalError as error:
            _log.warning("start_refused", job=attempt.lease.job, step=attempt.lease.step, code=error.code)

    def _with_notes(self, lease: Lease, outcome: Done | Failed) -> Done | Failed:
        """The outcome with what the site recorded about this step: of earlier attempts too, who may not have told."""
        recorded = self._record.entries(lease.job, lease.step)[-_NOTES_AT_MOST:]
        told: dict[str, object] = {"egress": [note_of(entry) for entry in recorded]}
        if isinstance(outcome, Done):
            released = (item.entry for item in recorded if item.entry.decision == "released")
            told["withheld_groups"] = max((entry.withheld_groups for entry in released), default=0)
        return outcome.model_copy(update=told)

    async def _report(self, attempt: _Attempt, outcome: Done | Failed) -> None:
        def finish(welcome: Welcome) -> Awaitable[None]:
            report = Finish(session=welcome.session, fence=attempt.lease.fence, outcome=outcome)
            return self._link.finish(attempt.ref, report)

        try:
            await self._session.call("finish", finish)
        except DatacanalError as error:
            _log.warning("finish_refused", job=attempt.lease.job, step=attempt.lease.step, code=error.code)


def _stopped() -> Failed:
    return Failed(problem=problem_of(AttemptLost(reason="it was stopped")), elapsed_ms=0)


def _row(attempt: _Attempt, outcome: Done | Failed, now: datetime) -> AttemptRow:
    lease = attempt.lease
    return AttemptRow(
        job=lease.job,
        step=lease.step,
        fence=lease.fence,
        attempt=lease.attempt,
        plan_digest=lease.plan_digest,
        finished_ms=int(now.timestamp() * 1000),
        outcome="done" if isinstance(outcome, Done) else outcome.problem.code,
        said=attempt.running.said,
        reads=reads_of(lease),
        tenant=lease.tenant,
        principal=lease.principal,
    )
