"""One life of a pool: its scheduler, runner and workers, from their start until one of the first two dies."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datacanal.domain.errors import DatacanalError, PoolDidNotStart
from datacanal.site.engine.announcements import SchedulerAddress, WorkerAddress
from datacanal.site.engine.runner_protocol import (
    REPLY,
    KillRequest,
    RunReply,
    RunRequest,
    StatusReply,
    StatusRequest,
    WorkerJoined,
    WorkerLeft,
)
from datacanal.site.engine.specification import PoolShape, Task, TaskDone, TaskFailed, lost
from datacanal.site.fleet.house import House, Role
from datacanal.site.fleet.member import Member

_RESTART_S = 1.0
"""How long to wait before a worker that died while it started is started again."""


@dataclass(frozen=True)
class Processes:
    """Process ids by role."""

    schedulers: list[int]
    runners: list[int]
    workers: list[int]
    kernels: list[int]


@dataclass(frozen=True)
class Pace:
    """Seconds: how long without a task until the pool shrinks, and how health is watched."""

    idle_s: float = 60
    look_s: float = 5
    patience_s: float = 20


PACE = Pace()


class Life:
    """Start it once and end it; in between `lost` waits for what ends it."""

    def __init__(self, house: House, shape: PoolShape, pace: Pace) -> None:
        self._house = house
        self._shape = shape
        self._pace = pace
        self._width = max(1, shape.least_workers)
        self._keepers = 0
        self._scheduler: Member | None = None
        self._runner: Member | None = None
        self._workers: dict[str, Member] = {}
        self._serving: set[str] = set()
        self._joined = asyncio.Event()
        self._names = itertools.count()
        self._numbers = itertools.count()
        self._outcomes: dict[str, asyncio.Future[TaskDone | TaskFailed]] = {}
        self._changed = asyncio.Event()
        self._answers: dict[int, asyncio.Future[StatusReply]] = {}
        self._runner_told = asyncio.Event()
        self._address: asyncio.Future[SchedulerAddress] = asyncio.get_running_loop().create_future()
        self._why_lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._refused: DatacanalError | None = None
        self._duties: list[asyncio.Task[None]] = []

    @property
    def is_over(self) -> bool:
        """Whether something ended it; its members may still be on their way out."""
        return self._why_lost.done()

    async def start(self) -> None:
        """Start all members at once; return when a task can run. Raises what kept it from that."""
        await self._house.prepare()
        self._duty(self._keep_scheduler())
        self._duty(self._keep_runner())
        self._widen(self._width)
        joined = asyncio.ensure_future(self._joined.wait())
        lost = asyncio.ensure_future(self.lost())
        await asyncio.wait([joined, lost], return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        lost.cancel()
        if self._why_lost.done():
            raise self._refused or PoolDidNotStart(reason=self._why_lost.result())
        self._duty(self._keep_small())
        self._duty(self._keep_healthy())

    async def lost(self) -> str:
        """Wait until this life is over; gives the reason."""
        return await asyncio.shield(self._why_lost)

    def give_up(self, reason: str) -> None:
        """Declare this life over."""
        if not self._why_lost.done():
            self._why_lost.set_result(reason)

    async def end(self) -> None:
        """End every member and wait until all are gone. Tasks under way give `attempt_lost`."""
        self.give_up("the pool was stopped")
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        members = [member for each in self.members().values() for member in each]
        for member in members:
            member.kill()
        await asyncio.gather(*(member.gone() for member in members))
        await self._house.clear()
        for outcome in self._outcomes.values():
            if not outcome.done():
                outcome.set_result(lost(self._why_lost.result()))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PoolDidNotStart(reason=self._why_lost.result()))

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run the task to its outcome, with another worker where there is none for it and one more is allowed."""
        outcome: asyncio.Future[TaskDone | TaskFailed] = asyncio.get_running_loop().create_future()
        self._outcomes[task.id] = outcome
        self._changed.set()
        self._widen(min(self._shape.workers, len(self._outcomes)))
        self._tell_runner(RunRequest(task=task))
        try:
            return await outcome
        finally:
            self._outcomes.pop(task.id, None)
            self._changed.set()

    def kill(self, task_id: str) -> asyncio.Future[TaskDone | TaskFailed] | None:
        """Have the task killed; gives what its outcome will arrive in, None where it does not run here."""
        outcome = self._outcomes.get(task_id)
        if outcome is not None:
            self._tell_runner(KillRequest(task_id=task_id))
        return outcome

    def members(self) -> dict[Role, list[Member]]:
        """Who lives, as far as it is known."""
        return {
            "scheduler": [member for member in (self._scheduler,) if member],
            "runner": [member for member in (self._runner,) if member],
            "worker": list(self._workers.values()),
        }

    async def status(self) -> StatusReply:
        """What the runner says of its workers and their kernels."""
        number = next(self._numbers)
        answer: asyncio.Future[StatusReply] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._tell_runner(StatusRequest(number=number))
        try:
            return await answer
        finally:
            del self._answers[number]

    async def _keep_scheduler(self) -> None:
        self._scheduler = await self._member("scheduler", "scheduler")
        frame = await self._scheduler.hear()
        if frame is not None:
            self._address.set_result(SchedulerAddress.model_validate_json(frame))
            await self._scheduler.hear()
        self.give_up("its scheduler died")

    async def _keep_runner(self) -> None:
        self._runner = await self._member("runner", "runner")
        self._runner.tell(await asyncio.shield(self._address))
        self._runner_told.set()
        while (frame := await self._runner.hear()) is not None:
            self._hear(frame)
        self.give_up("its runner died")

    def _hear(self, frame: bytes) -> None:
        if frame == b"{}":
            return
        reply = REPLY.validate_json(frame)
        if not isinstance(reply, RunReply):
            answer = self._answers.get(reply.number)
            if answer is not None and not answer.done():
                answer.set_result(reply)
        elif (outcome := self._outcomes.get(reply.task_id)) is not None and not outcome.done():
            outcome.set_result(reply.outcome)

    async def _keep_worker(self) -> None:
        """Have one worker, a new one whenever it dies while it is wanted. What a dead one spilled is removed."""
        while self._keepers <= self._width:
            name = f"worker-{next(self._names)}"
            member = self._workers[name] = await self._member("worker", name)
            try:
                member.tell(await asyncio.shield(self._address))
                if not await self._serve_with(name, member):
                    await asyncio.sleep(_RESTART_S)
            finally:
                member.kill()
            await member.gone()
            del self._workers[name]
            spilled = Path(self._shape.scratch, "spill", name)
            await asyncio.to_thread(shutil.rmtree, spilled, ignore_errors=True)
        self._keepers -= 1

    async def _serve_with(self, name: str, member: Member) -> bool:
        """Let the worker serve until it dies; false where it never joined."""
        frame = await member.hear()
        if frame is None:
            return False
        await self._runner_told.wait()
        self._tell_runner(WorkerJoined(name=name, address=WorkerAddress.model_validate_json(frame).address))
        self._serving.add(name)
        self._joined.set()
        await member.hear()
        self._dismiss(name)
        return True

    async def _keep_small(self) -> None:
        """After a while without a task let go of the workers beyond the least, or of everything."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._pace.idle_s):  # wait_for of 3.11 may swallow a cancellation
                    await self._changed.wait()
            except TimeoutError:
                if not self._outcomes:
                    self._shrink()

    async def _keep_healthy(self) -> None:
        """A member that lives and does not answer is as good as dead: it may be stopped, or stuck."""
        while True:
            await asyncio.sleep(self._pace.look_s)
            try:
                async with asyncio.timeout(self._pace.patience_s):
                    status = await self.status()
            except TimeoutError:
                self.give_up("its runner did not answer")
                return
            for name in status.silent:
                if name in self._workers:
                    self._workers[name].kill()

    def _widen(self, width: int) -> None:
        """Keep at least so many workers."""
        self._width = max(self._width, width)
        while self._keepers < self._width:
            self._keepers += 1
            self._duty(self._keep_worker())

    def _shrink(self) -> None:
        if self._shape.least_workers == 0:
            self.give_up("it had nothing to do")
            return
        self._width = self._shape.least_workers
        for name in list(self._workers)[self._width :]:
            self._dismiss(name)
            self._workers[name].kill()

    def _dismiss(self, name: str) -> None:
        """Have the runner give it nothing more: said at once, so that no task is sent where nobody is."""
        if name in self._serving:
            self._serving.remove(name)
            self._tell_runner(WorkerLeft(name=name))

    def _tell_runner(self, document: RunRequest | KillRequest | StatusRequest | WorkerJoined | WorkerLeft) -> None:
        if self._runner is not None:
            self._runner.tell(document)

    async def _member(self, role: Role, name: str) -> Member:
        """Started. Once the pool serves it waits for a worker rather than end over one; else that ends this life."""
        while True:
            try:
                return await self._house.start(role, name)
            except DatacanalError as error:
                if not (error.retriable and self._joined.is_set()):
                    self._refused = error
                    self.give_up(f"its {role} could not be started: {error.detail}")
                    raise
            await asyncio.sleep(_RESTART_S)

    def _duty(self, work: Coroutine[Any, Any, None]) -> None:
        self._duties.append(asyncio.create_task(work))
