"""A worker pool of processes on this machine. It runs steps beside each other and does not isolate them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from datacanal.domain.errors import PoolDidNotStart
from datacanal.site.engine.cluster import ClusterSettings
from datacanal.site.engine.output import TEMPORARY_SUFFIX, temporary_path
from datacanal.site.engine.specification import PoolShape, Task, TaskDone, TaskFailed, lost
from datacanal.site.fleet.life import Life, Processes
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.tls import make_certificates

_START_S = 30.0
_KILL_S = 5.0
"""A kill that has not worked after this means that a worker is stuck: the pool is started anew."""
_QUEUED_PER_SLOT = 4
"""Tasks are taken in beyond what runs, so that a short one can pass long ones that wait."""


class LocalPool:
    """The `Pool` of a site on this machine: scheduler, runner, workers and their kernels, restarted as they die.

    `home` holds pool.log, the pool's certificates and Dask's own files. The scratch directory's `spill` folder and
    every file that ends in `.tmp` belong to the pool and are swept when it starts.
    """

    def __init__(
        self,
        shape: PoolShape,
        home: Path,
        *,
        express_s: float = 5,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._shape = shape
        self._home = home
        self._now = now
        self._settings = ClusterSettings(
            tls=str(home / "tls"),
            directory=str(home / "dask"),
            threads=shape.threads,
            memory_bytes=shape.memory_bytes,
            readable=shape.readable,
            scratch=shape.scratch,
            spill_bytes=shape.spill_bytes,
            express_s=express_s,
        )
        self._log = CappedLog(home / "pool.log")
        self._changing = asyncio.Lock()
        self._wanted = False
        self._life: Life | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def slots(self) -> int:
        """How many tasks may be handed in at once; beyond the workers and the express slot they wait inside."""
        return (self._shape.workers + 1) * _QUEUED_PER_SLOT

    async def ensure_started(self) -> None:
        """Bring the pool up, or find it up. Raises `PoolDidNotStart`."""
        if not self._wanted:
            await asyncio.to_thread(self._sweep)
        self._wanted = True
        await self._begin()

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        """Run to the end; a pool that is starting again is waited for."""
        try:
            life = await self._begin()
        except PoolDidNotStart as error:
            return lost(error.detail)
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

    async def processes(self) -> Processes:
        """The pool's processes, for operators and fault tests. Raises `PoolDidNotStart` where it is stopped."""
        return await (await self._begin()).processes()

    async def _begin(self) -> Life:
        """The life under way, or a new one if the pool is wanted."""
        if self._life is not None:
            return self._life
        async with self._changing:
            if self._life is None:
                if not self._wanted:
                    raise PoolDidNotStart(reason="it is stopped")
                self._life = await self._new_life()
                self._supervision = asyncio.create_task(self._supervise(self._life))
            return self._life

    async def _new_life(self) -> Life:
        await asyncio.to_thread(self._lay_out)
        life = Life(self._settings, self._shape.workers, self._log)
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
        """See the life to its end, then begin the next one."""
        await life.lost()
        async with self._changing:
            self._life = None
            await life.end()
        with contextlib.suppress(PoolDidNotStart):  # the next task tries again
            await self._begin()

    def _lay_out(self) -> None:
        """Fresh certificates and an empty folder for Dask, for this life alone."""
        self._home.mkdir(parents=True, exist_ok=True)
        Path(self._shape.scratch).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._home / "dask", ignore_errors=True)
        make_certificates(self._home / "tls", self._now())

    def _sweep(self) -> None:
        """Remove what a pool that was killed left in the scratch directory."""
        scratch = Path(self._shape.scratch)
        shutil.rmtree(scratch / "spill", ignore_errors=True)
        for left in scratch.rglob(f"*{TEMPORARY_SUFFIX}"):
            left.unlink(missing_ok=True)
