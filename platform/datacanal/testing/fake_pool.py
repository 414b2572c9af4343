"""Pools without processes: tasks run in threads of the test with the very code of the kernels, or fail as named."""

from __future__ import annotations

import asyncio
from pathlib import Path

from datacanal.domain.errors import PoolDidNotStart
from datacanal.site.engine.kernel import Kernel
from datacanal.site.engine.specification import PoolShape, Task, TaskDone, TaskFailed, lost
from datacanal.site.engine.work import KernelSettings, Work

_LISTEN_S = 0.02


class FakePool:
    """A `Pool` that keeps the contract. `ran` lists the tasks that were handed in."""

    def __init__(self, shape: PoolShape) -> None:
        self.ran: list[Task] = []
        self._shape = shape
        self._started = False
        self._kernels: dict[str, Kernel] = {}
        self._begun: set[str] = set()
        self._killed: set[str] = set()
        self._under_way: dict[str, asyncio.Task[TaskDone | TaskFailed]] = {}
        self._places = asyncio.Semaphore(shape.workers + 1)

    @property
    def slots(self) -> int:
        """As many as run at once."""
        return self._shape.workers + 1

    async def ensure_started(self) -> None:
        """Nothing has to start."""
        await asyncio.to_thread(Path(self._shape.scratch).mkdir, parents=True, exist_ok=True)
        self._started = True

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run in a thread."""
        self.ran.append(task)
        if not self._started:
            return lost("the pool is stopped")
        running = self._under_way[task.id] = asyncio.create_task(self._outcome(task))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                return lost("it was killed before it began")
            raise
        finally:
            del self._under_way[task.id]

    async def kill(self, task_id: str) -> None:
        """Interrupt the task's statement until it has heard it: between two statements nobody listens."""
        running = self._under_way.get(task_id)
        if running is not None and task_id not in self._begun:
            running.cancel()
        elif running is not None:
            self._killed.add(task_id)
            while not running.done():
                if task_id in self._kernels:
                    self._kernels[task_id].interrupt()
                await asyncio.wait([running], timeout=_LISTEN_S)

    async def ensure_stopped(self) -> None:
        """Interrupt what runs and wait for it."""
        self._started = False
        await asyncio.gather(*(self.kill(task_id) for task_id in list(self._under_way)))

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        async with self._places:
            self._begun.add(task.id)
            outcome = await asyncio.to_thread(self._in_kernel, task)
        self._begun.remove(task.id)
        if task.id not in self._killed:
            return outcome
        self._killed.remove(task.id)
        return outcome if outcome.ok else lost("it was killed")

    def _in_kernel(self, task: Task) -> TaskDone | TaskFailed:
        shape = self._shape
        kernel = self._kernels[task.id] = Kernel(
            KernelSettings(
                readable=shape.readable,
                scratch=shape.scratch,
                spill=str(Path(shape.scratch, "spill")),
                spill_bytes=shape.spill_bytes,
                memory_bytes=shape.memory_bytes,
                threads=shape.threads,
            )
        )
        try:
            return kernel.run(Work(task=task, memory_bytes=shape.memory_bytes, threads=shape.threads))
        finally:
            del self._kernels[task.id]
            kernel.close()


class PoolThatNeverStarts(FakePool):
    """Its processes end at once."""

    async def ensure_started(self) -> None:
        """Fail."""
        raise PoolDidNotStart(reason="its scheduler ended at once")


class PoolThatLosesItsWorker(FakePool):
    """The first task is lost with the worker that runs it; later ones run."""

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        if task is self.ran[0]:
            return lost("its worker died")
        return await super()._outcome(task)


class PoolThatHangs(FakePool):
    """Nothing runs until it is let go; what is killed before that is lost. `hangs` is set once a task does."""

    def __init__(self, shape: PoolShape) -> None:
        super().__init__(shape)
        self.hangs = asyncio.Event()
        self.let_go = asyncio.Event()

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        self.hangs.set()
        await self.let_go.wait()
        return await super()._outcome(task)
