"""A worker pool of processes on this machine. It runs steps beside each other and does not isolate them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from datacanal.site.engine.cluster import ClusterSettings, settings_of
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fleet.children import Child
from datacanal.site.fleet.house import Role
from datacanal.site.fleet.life import PACE, Pace, Processes
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.pool import WorkerPool
from datacanal.site.fleet.tls import make_certificates

_ENGINE = "datacanal.site.engine"


class LocalHouse:
    """A `House` of processes. `home` holds pool.log, the pool's certificates and Dask's own files."""

    def __init__(self, settings: ClusterSettings, home: Path, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._home = home
        self._now = now
        self._log = CappedLog(home / "pool.log")

    async def prepare(self) -> None:
        """Fresh certificates and an empty folder for Dask, for this life alone."""
        await asyncio.to_thread(self._lay_out)

    async def start(self, role: Role, name: str) -> Child:
        """Start the process."""
        return await Child.start(f"{_ENGINE}.{role}", [self._settings.model_dump_json(), name], self._log)

    async def clear(self) -> None:
        """The next life's `prepare` does it."""

    def _lay_out(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._home / "dask", ignore_errors=True)
        make_certificates(self._home / "tls", self._now())


class LocalPool(WorkerPool):
    """The pool of the `local` backend."""

    def __init__(
        self,
        shape: PoolShape,
        home: Path,
        *,
        express_s: float = 5,
        pace: Pace = PACE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        settings = settings_of(shape, tls=home / "tls", directory=home / "dask", express_s=express_s)
        super().__init__(shape, LocalHouse(settings, home, now), pace)

    async def processes(self) -> Processes:
        """The pool's processes, for operators and fault tests. Raises `PoolDidNotStart` where it is stopped."""
        life = await self._begin()
        return Processes(
            **{
                f"{role}s": [cast("Child", member).pid for member in members]
                for role, members in life.members().items()
            },
            kernels=(await life.status()).kernel_pids,
        )
