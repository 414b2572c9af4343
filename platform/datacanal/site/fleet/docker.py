"""A worker pool of hardened containers: each member in one of its own, on a network that leads nowhere else."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from datacanal.domain.errors import DatacanalError
from datacanal.site.engine.assignment import HOME, Assignment
from datacanal.site.engine.cluster import ClusterSettings, settings_of
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fleet.containers import Container
from datacanal.site.fleet.house import Role
from datacanal.site.fleet.life import PACE, Pace
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.pool import WorkerPool
from datacanal.site.fleet.tls import new_certificates
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.settings import user_of
from datacanal.site.launcher.specification import ContainerSpecification, PoolNetwork

_MIB = 2**20
SQL_POOL = "sql"
WORKER_OVERHEAD_BYTES = 256 * _MIB
"""Of a worker's container: the worker itself, and what two resting kernel processes take before their first row."""
_HELPER_BYTES = 384 * _MIB
_HELPER_CPUS = 1.0
_TMP_BYTES = 64 * _MIB

_log = structlog.get_logger()


@dataclass(frozen=True)
class Neighbourhood:
    """What all pools of one boot of a site's agent share."""

    home: Path
    launcher: LauncherClient
    boot: str

    @property
    def channels(self) -> Path:
        """One folder per container."""
        return self.home / "channels"

    async def open_network(self, pool: str) -> None:
        """Make sure that the pool has its network. Raises what the launcher answers."""
        await self.launcher.hello(self.boot)
        await self.launcher.ensure_network(PoolNetwork(pool=pool, boot=self.boot))

    async def close_network(self, pool: str) -> None:
        """Without a launcher it stays until the pool opens it again, or until the launcher finds it unused."""
        try:
            await self.launcher.remove_network(pool)
        except DatacanalError as error:
            _log.warning("network_not_removed", pool=pool, code=error.code, detail=error.detail)


class ContainerHouse:
    """A `House` of containers. Nothing that it tells them is on a disk; `log` is the pool's own."""

    def __init__(
        self,
        around: Neighbourhood,
        settings: ClusterSettings,
        lakes: Sequence[str],
        log: CappedLog,
        now: Callable[[], datetime],
    ) -> None:
        self._around = around
        self._settings = settings
        self._lakes = tuple(lakes)
        self._log = log
        self._now = now
        self._lives = itertools.count(1)
        self._life = 0
        self._certificates: Mapping[str, str] = {}

    async def prepare(self) -> None:
        """Fresh certificates, and the pool's network. Raises what the launcher answers."""
        self._life = next(self._lives)
        self._certificates = await asyncio.to_thread(new_certificates, self._now())
        await asyncio.to_thread(_give_away, Path(self._settings.scratch))
        await self._around.open_network(SQL_POOL)

    async def start(self, role: Role, name: str) -> Container:
        """Start the container. Raises what the launcher answers."""
        known_as = f"{SQL_POOL}-{self._life}-{name}"
        return await Container.start(
            self._around.launcher,
            self._specification(role, known_as),
            Assignment(
                arguments=[self._settings.model_dump_json(), name],
                files={f"tls/{file}": content for file, content in self._certificates.items()},
            ),
            self._around.channels,
            self._log,
        )

    async def clear(self) -> None:
        """Remove the pool's network."""
        await self._around.close_network(SQL_POOL)

    def _specification(self, role: Role, name: str) -> ContainerSpecification:
        is_worker = role == "worker"
        helper = ContainerSpecification(
            name=name,
            role=role,
            pool=SQL_POOL,
            boot=self._around.boot,
            memory_bytes=_HELPER_BYTES,
            cpus=at_most_all(_HELPER_CPUS),
            channel=name,
            tmp_bytes=_TMP_BYTES,
            work_bytes=_TMP_BYTES,
        )
        if not is_worker:
            return helper
        return helper.model_copy(
            update={
                "memory_bytes": self._settings.memory_bytes + WORKER_OVERHEAD_BYTES,
                # The express slot's kernel, and the worker itself, work beside the regular slot.
                "cpus": at_most_all(self._settings.threads + 1),
                "lakes": self._lakes,
                "scratch": True,
            }
        )


class DockerPool(WorkerPool):
    """The pool of the `docker` backend.

    `shape.memory_bytes` is that of a worker's whole container; `lakes` are what the launcher knows `shape.readable` by.
    """

    def __init__(
        self,
        shape: PoolShape,
        around: Neighbourhood,
        lakes: Sequence[str],
        *,
        express_s: float = 5,
        pace: Pace = PACE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        inside = shape.model_copy(update={"memory_bytes": shape.memory_bytes - WORKER_OVERHEAD_BYTES})
        settings = settings_of(inside, tls=HOME / "tls", directory=HOME / "dask", host="", express_s=express_s)
        log = CappedLog(around.home / "pool.log")
        super().__init__(shape, ContainerHouse(around, settings, lakes, log, now), pace)


def at_most_all(cpus: float) -> float:
    """The engine refuses more processors than the machine has."""
    return min(cpus, float(os.cpu_count() or 1))


def _give_away(scratch: Path) -> None:
    """Containers never run as root: where the agent does, its scratch folders are made theirs."""
    if os.geteuid() != 0:
        return
    user = user_of(scratch.parent)
    for folder in (scratch, *(path for path in scratch.iterdir() if path.is_dir() and not path.is_symlink())):
        os.chown(folder, user.uid, user.gid)
