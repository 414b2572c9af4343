"""A worker pool: what keeps it alive, wherever its members live. It grows with its queue and stops when it is idle."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from datacanal.domain.errors import ContainerEngineUnreachable, DatacanalError, LauncherUnreachable, PoolDidNotStart
from datacanal.site.engine.output import TEMPORARY_SUFFIX, temporary_path
from datacanal.site.engine.specification import PoolShape, Task, TaskDone, TaskFailed, failed, lost
from datacanal.site.fleet.house import House
from datacanal.site.fleet.life import Life, Pace

_START_S = 30.0
_KILL_S = 5.0
"""A kill that has not worked after this means that a worker is stuck: the pool is started anew."""
_ABSENT = (LauncherUnreachable.code, ContainerEngineUnreachable.code)
_ABSENT_S = 15.0
_ABSENT_LOOK_S = 0.5
_QUEUED_PER_SLOT = 4
"""Tasks are taken in beyond what runs, so that a short one can pass long ones that wait."""


class WorkerPool:
    """The `Pool` of a site: scheduler, runner, workers and their kernels in a house, restarted as they die.

    The scratch directory's `spill` folder and every file that ends in `.tmp` belong to the pool and are swept when it
    starts. An elastic pool has, between its `least_workers` and `workers`, one for each task that waits or runs; it
    shrinks when it has nothing to do, and with a least of none it stops until the next task.
    """

    def __init__(self, shape: PoolShape, house: House, pace: Pace) -> None:
        self._shape = shape
        self._house = house
        self._pace = pace
        self._changing = asyncio.Lock()
        self._wanted = False
        self._life: Life | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def slots(self) -> int:
        """How many tasks may be handed in at once; beyond the workers and the express slot they wait inside."""
        return (self._shape.workers + 1) * _QUEUED_PER_SLOT

    async def ensure_started(self) -> None:
        """Bring the pool up, or find it up; one that may be without workers waits for its first task.

        Raises a `DatacanalError` that says what keeps it from starting.
        """
        if not self._wanted:
            await asyncio.to_thread(self._sweep)
        self._wanted = True
        if self._shape.least_workers:
            await self._begin()

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run to the end; a pool that is starting again is waited for."""
        try:
            life = await self._begin_patiently()
        except PoolDidNotStart as error:
            return lost(error.detail)
        except DatacanalError as error:
            return failed(error)
        outcome = await life.run(task)
        if not outcome.ok:
            temporary_path(Path(task.output)).unlink(missing_ok=True)
        return outcome

    async def kill(self, task_id: str) -> None:
        """End the task's kernel process now; where that does not work, all processes of the pool."""
        life = self._life
        outcome = None if life is None else life.kill(task_id)
        if life is not None and outcome is not None:
            done, _ = await asyncio.wait([outcome], timeout=_KILL_S)
            if not done:
                life.give_up("a worker did not answer")

    async def ensure_stopped(self) -> None:
        """End every process of the pool and wait until they are gone."""
        self._wanted = False
        async with self._changing:
            if self._life is not None:
                self._life.give_up("the pool was stopped")
        if self._supervision is not None:
            await self._supervision

    async def _begin_patiently(self) -> Life:
        """The same, also while what starts its members is itself being started again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _ABSENT_S
        while True:
            try:
                return await self._begin()
            except DatacanalError as error:
                if error.code not in _ABSENT or loop.time() > until:
                    raise
            await asyncio.sleep(_ABSENT_LOOK_S)

    async def _begin(self) -> Life:
        """The life under way, or a new one if the pool is wanted."""
        if self._life is not None and not self._life.is_over:
            return self._life
        async with self._changing:
            await self._bury()
            if self._life is None:
                if not self._wanted:
                    raise PoolDidNotStart(reason="it is stopped")
                self._life = await self._new_life()
                self._supervision = asyncio.create_task(self._supervise(self._life))
            return self._life

    async def _new_life(self) -> Life:
        await asyncio.to_thread(Path(self._shape.scratch).mkdir, parents=True, exist_ok=True)
        life = Life(self._house, self._shape, self._pace)
        try:
            async with asyncio.timeout(_START_S):
                await life.start()
        except TimeoutError:
            await life.end()
            raise PoolDidNotStart(reason=f"it was not ready after {_START_S:.0f} s") from None
        except BaseException:
            await life.end()
            raise
        return life

    async def _supervise(self, life: Life) -> None:
        """See the life to its end, then begin the next one, unless the pool may be without workers."""
        await life.lost()
        async with self._changing:
            if self._life is life:
                await self._bury()
        if self._shape.least_workers:
            with contextlib.suppress(DatacanalError):  # the next task tries again
                await self._begin()

    async def _bury(self) -> None:
        """End a life that is over."""
        if self._life is not None and self._life.is_over:
            await self._life.end()
            self._life = None

    def _sweep(self) -> None:
        """Remove what a pool that was killed left in the scratch directory."""
        scratch = Path(self._shape.scratch)
        shutil.rmtree(scratch / "spill", ignore_errors=True)
        for left in scratch.rglob(f"*{TEMPORARY_SUFFIX}"):
            left.unlink(missing_ok=True)
