"""One life of a local pool: its scheduler, runner and workers, from their start until one of the first two dies."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datacanal.domain.errors import PoolDidNotStart
from datacanal.site.engine.announcements import SchedulerAddress, WorkerAddress
from datacanal.site.engine.cluster import ClusterSettings
from datacanal.site.engine.runner_protocol import (
    REPLY,
    KillRequest,
    RunReply,
    RunRequest,
    StatusRequest,
    WorkerJoined,
    WorkerLeft,
)
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed, lost
from datacanal.site.fleet.children import Child
from datacanal.site.fleet.log import CappedLog

_ENGINE = "datacanal.site.engine"
_RESTART_S = 1.0
"""How long to wait before a worker that died while it started is started again."""


@dataclass(frozen=True)
class Processes:
    """Process ids by role."""

    schedulers: list[int]
    runners: list[int]
    workers: list[int]
    kernels: list[int]


class Life:
    """Start it once and end it once; in between `lost` waits for what ends it."""

    def __init__(self, settings: ClusterSettings, workers: int, log: CappedLog) -> None:
        self._settings = settings
        self._width = workers
        self._log = log
        self._scheduler: Child | None = None
        self._runner: Child | None = None
        self._workers: dict[str, Child] = {}
        self._joined = asyncio.Event()
        self._names = itertools.count()
        self._numbers = itertools.count()
        self._outcomes: dict[str, asyncio.Future[TaskDone | TaskFailed]] = {}
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        self._address: asyncio.Future[SchedulerAddress] = asyncio.get_running_loop().create_future()
        self._why_lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._duties: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all processes at once; return when a task can run. Raises `PoolDidNotStart`."""
        self._duty(self._keep_scheduler())
        self._duty(self._keep_runner())
        for _ in range(self._width):
            self._duty(self._keep_worker())
        joined = asyncio.ensure_future(self._joined.wait())
        lost = asyncio.ensure_future(self.lost())
        await asyncio.wait([joined, lost], return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        lost.cancel()
        if self._why_lost.done():
            raise PoolDidNotStart(reason=self._why_lost.result())

    async def lost(self) -> str:
        """Wait until this life is over; gives the reason."""
        return await asyncio.shield(self._why_lost)

    def give_up(self, reason: str) -> None:
        """Declare this life over."""
        if not self._why_lost.done():
            self._why_lost.set_result(reason)

    async def end(self) -> None:
        """End every process and wait until all are gone. Tasks under way give `attempt_lost`."""
        self.give_up("the pool was stopped")
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        children = [child for child in (self._runner, self._scheduler, *self._workers.values()) if child]
        for child in children:
            child.kill()
        await asyncio.gather(*(child.gone() for child in children))
        for outcome in self._outcomes.values():
            if not outcome.done():
                outcome.set_result(lost(self._why_lost.result()))
        for answer in self._answers.values():
            answer.set_exception(PoolDidNotStart(reason=self._why_lost.result()))

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run the task to its outcome."""
        outcome: asyncio.Future[TaskDone | TaskFailed] = asyncio.get_running_loop().create_future()
        self._outcomes[task.id] = outcome
        self._tell_runner(RunRequest(task=task))
        try:
            return await outcome
        finally:
            self._outcomes.pop(task.id, None)

    def kill(self, task_id: str) -> asyncio.Future[TaskDone | TaskFailed] | None:
        """Have the task killed; gives what its outcome will arrive in, None where it does not run here."""
        outcome = self._outcomes.get(task_id)
        if outcome is not None:
            self._tell_runner(KillRequest(task_id=task_id))
        return outcome

    async def processes(self) -> Processes:
        """The processes that live."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._tell_runner(StatusRequest(number=number))
        return Processes(
            schedulers=[child.pid for child in (self._scheduler,) if child],
            runners=[child.pid for child in (self._runner,) if child],
            workers=[child.pid for child in self._workers.values()],
            kernels=await answer,
        )

    async def _keep_scheduler(self) -> None:
        self._scheduler = await self._child("scheduler")
        frame = await self._scheduler.hear()
        if frame is not None:
            self._address.set_result(SchedulerAddress.model_validate_json(frame))
            await self._scheduler.hear()
        self.give_up("its scheduler died")

    async def _keep_runner(self) -> None:
        self._runner = await self._child("runner")
        self._runner.tell(await asyncio.shield(self._address))
        while (frame := await self._runner.hear()) is not None:
            self._hear(frame)
        self.give_up("its runner died")

    def _hear(self, frame: bytes) -> None:
        if frame == b"{}":
            return
        reply = REPLY.validate_json(frame)
        if not isinstance(reply, RunReply):
            self._answers.pop(reply.number).set_result(reply.kernel_pids)
        elif (outcome := self._outcomes.get(reply.task_id)) is not None and not outcome.done():
            outcome.set_result(reply.outcome)

    async def _keep_worker(self) -> None:
        """Have one worker, a new one whenever it dies. What a dead one spilled is removed."""
        while True:
            name = f"worker-{next(self._names)}"
            child = self._workers[name] = await self._child("worker", name)
            try:
                child.tell(await asyncio.shield(self._address))
                if not await self._serve_with(name, child):
                    await asyncio.sleep(_RESTART_S)
            finally:
                child.kill()
            await child.gone()
            del self._workers[name]
            spilled = Path(self._settings.scratch, "spill", name)
            await asyncio.to_thread(shutil.rmtree, spilled, ignore_errors=True)

    async def _serve_with(self, name: str, child: Child) -> bool:
        """Let the worker serve until it dies; false where it never joined."""
        frame = await child.hear()
        if frame is None:
            return False
        self._tell_runner(WorkerJoined(name=name, address=WorkerAddress.model_validate_json(frame).address))
        self._joined.set()
        await child.hear()
        self._tell_runner(WorkerLeft(name=name))
        return True

    def _tell_runner(self, document: RunRequest | KillRequest | StatusRequest | WorkerJoined | WorkerLeft) -> None:
        if self._runner is not None:
            self._runner.tell(document)

    async def _child(self, role: str, *arguments: str) -> Child:
        return await Child.start(f"{_ENGINE}.{role}", [self._settings.model_dump_json(), *arguments], self._log)

    def _duty(self, work: Coroutine[Any, Any, None]) -> None:
        self._duties.append(asyncio.create_task(work))
