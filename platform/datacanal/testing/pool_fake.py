"""Pools for tests: one that runs real kernels inside this process, and ones that fail in ways that have names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from datacanal.domain.errors import AttemptLost, PoolDidNotStart
from datacanal.protocol.problem import problem_of
from datacanal.site.engine.kernel import Kernel
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed
from datacanal.site.engine.work import KernelSettings, Work

_MEMORY_BYTES = 2**30


class InProcessPool:
    """Runs every task on a kernel of its own in a thread. It cannot really kill: a killed task's outcome is dropped."""

    slots = 4

    def __init__(self, readable: list[Path], scratch: Path) -> None:
        self._settings = KernelSettings(
            readable=[str(path) for path in readable],
            scratch=str(scratch),
            spill=str(scratch / "spill"),
            spill_bytes=2**30,
            memory_bytes=_MEMORY_BYTES,
            threads=1,
        )
        self._killed: dict[str, asyncio.Future[None]] = {}
        self.ran: list[Task] = []

    async def ensure_started(self) -> None:
        """Nothing to start."""

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run the task in a thread."""
        self.ran.append(task)
        killed = self._killed[task.id] = asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(self._outcome(task))
        await asyncio.wait([work, killed], return_when=asyncio.FIRST_COMPLETED)
        del self._killed[task.id]
        return work.result() if work.done() else _lost("it was killed")

    async def kill(self, task_id: str) -> None:
        """Let `run` return."""
        killed = self._killed.get(task_id)
        if killed is not None and not killed.done():
            killed.set_result(None)

    async def ensure_stopped(self) -> None:
        """Nothing to stop."""

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        return await asyncio.to_thread(self._in_thread, task)

    def _in_thread(self, task: Task) -> TaskDone | TaskFailed:
        kernel = Kernel(self._settings)
        try:
            return kernel.run(Work(task=task, memory_bytes=_MEMORY_BYTES, threads=1))
        finally:
            kernel.close()


class PoolThatHangs(InProcessPool):
    """Runs nothing until the task is killed, or until it is let go. `hangs` is set once a task does."""

    def __init__(self, readable: list[Path], scratch: Path) -> None:
        super().__init__(readable, scratch)
        self.hangs = asyncio.Event()
        self.let_go = asyncio.Event()

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        self.hangs.set()
        await self.let_go.wait()
        return await super()._outcome(task)


class PoolThatLosesTasks(InProcessPool):
    """Its worker dies under each of the first tasks."""

    def __init__(self, readable: list[Path], scratch: Path, losses: int) -> None:
        super().__init__(readable, scratch)
        self._losses = losses

    async def _outcome(self, task: Task) -> TaskDone | TaskFailed:
        if self._losses:
            self._losses -= 1
            return _lost("the worker died")
        return await super()._outcome(task)


class PoolThatNeverStarts(InProcessPool):
    """Always has a reason not to start."""

    def __init__(self, readable: list[Path], scratch: Path, on_try: Callable[[], None]) -> None:
        super().__init__(readable, scratch)
        self._on_try = on_try

    async def ensure_started(self) -> None:
        """Fail."""
        self._on_try()
        raise PoolDidNotStart(reason="no room")


def _lost(reason: str) -> TaskFailed:
    return TaskFailed(problem=problem_of(AttemptLost(reason=reason)), elapsed_ms=0)
