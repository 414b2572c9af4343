"""Where Python jobs of a site run: a cluster for each, some of them started before anybody asks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from datacanal.domain.errors import AttemptLost, DatacanalError
from datacanal.site.engine.python_task import GaveUp, Returned
from datacanal.site.fleet.containers import Marks
from datacanal.site.fleet.docker import Neighbourhood
from datacanal.site.fleet.job_cluster import ClusterShape, JobCluster, Run
from datacanal.site.launcher.specification import ImageState

_REFILL_PAUSE_S = 2.0
"""A job that has just begun has the machine to itself for so long."""
_RETRY_S = 10.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it said: words that stay at the site."""

    last: Returned | GaveUp | DatacanalError
    said: str


class PythonHost(Protocol):
    """Runs functions in sandboxes. `image` tells which image a run that begins now, and names that one, would have."""

    async def ensure_started(self) -> None: ...

    async def image(self, named: str | None) -> ImageState:
        """Raises what the launcher answers, also for an image that is not allowed."""
        ...

    async def run(self, shape: ClusterShape, image: str, marks: Marks, run: Run) -> Outcome:
        """Run in a cluster of that shape, whose image has that id. A failure of the platform is an outcome too."""
        ...

    async def ensure_stopped(self) -> None: ...


class DockerPythonHost:
    """A `PythonHost`. `reserve` clusters of `shape` are kept ready; a job of another shape waits for its own."""

    def __init__(self, around: Neighbourhood, shape: ClusterShape, reserve: int, now: Callable[[], datetime]) -> None:
        self._around = around
        self._shape = shape
        self._wanted = reserve
        self._now = now
        self._numbers = itertools.count(1)
        self._reserved: list[asyncio.Task[JobCluster]] = []
        self._used = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def ensure_started(self) -> None:
        """The reserve fills by itself."""
        if self._filling is None and self._wanted:
            self._filling = asyncio.create_task(self._fill())

    async def image(self, named: str | None) -> ImageState:
        own = await self._around.launcher.image()
        return own if named in (None, own.id) else await self._around.launcher.image(named)

    async def run(self, shape: ClusterShape, image: str, marks: Marks, run: Run) -> Outcome:
        cluster: JobCluster | None = None
        try:
            shape = await self._checked(shape, image)
            cluster = await self._take(shape, image)
            if cluster is None:
                cluster = self._new(shape, marks)
                await cluster.start()
            return Outcome(await cluster.run(run), cluster.words.text())
        except DatacanalError as error:
            return Outcome(error, cluster.words.text() if cluster else "")
        finally:
            if cluster is not None:
                self._end(cluster)

    async def ensure_stopped(self) -> None:
        """End the reserve, and wait for what is ending. Runs under way are ended by who began them."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
            self._filling = None
        reserved, self._reserved = self._reserved, []
        for starting in reserved:
            self._abandon(starting)
        await asyncio.gather(*reserved, return_exceptions=True)
        while self._ending:
            await asyncio.gather(*self._ending)

    async def _checked(self, shape: ClusterShape, image: str) -> ClusterShape:
        """The shape, with the site's own image unnamed. Raises `AttemptLost` where that is not the verified one."""
        own = (await self._around.launcher.image()).id
        if shape.image in (None, own) and image != own:
            raise AttemptLost(reason="the site's image was replaced as it was to begin")
        return shape.model_copy(update={"image": None}) if shape.image == own else shape

    async def _take(self, shape: ClusterShape, image: str) -> JobCluster | None:
        """One that fits, waiting for one that is on its way; those that died or run an image of yesterday are ended."""
        while shape == self._shape and self._reserved:
            starting = self._reserved.pop(0)
            self._used.set()
            cluster = await self._started(starting)
            if cluster is not None and not cluster.is_lost and cluster.image == image:
                return cluster
            if cluster is not None:
                self._end(cluster)
        return None

    async def _started(self, starting: asyncio.Task[JobCluster]) -> JobCluster | None:
        """The cluster; None where it did not start. Whoever stops waiting leaves it to be ended."""
        try:
            return await asyncio.shield(starting)
        except DatacanalError:
            return None
        except asyncio.CancelledError:
            self._abandon(starting)
            raise

    def _abandon(self, starting: asyncio.Task[JobCluster]) -> None:
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            self._end(starting.result())
        else:
            starting.cancel()

    def _end(self, cluster: JobCluster) -> None:
        """Nobody waits for containers to be gone."""
        ending = asyncio.create_task(cluster.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _fill(self) -> None:
        while True:
            while len(self._reserved) < self._wanted:
                starting = asyncio.create_task(self._reserve())
                self._reserved.append(starting)
                # One after the other; a failure is told, and tried again after a while.
                await asyncio.wait([starting])
                if not starting.cancelled() and starting.exception() is not None:
                    await asyncio.sleep(_RETRY_S)
                    self._reserved = [each for each in self._reserved if each is not starting]
            await self._used.wait()
            self._used.clear()
            await asyncio.sleep(_REFILL_PAUSE_S)

    async def _reserve(self) -> JobCluster:
        cluster = self._new(self._shape, None)
        try:
            await cluster.start()
        except DatacanalError as error:
            _log.warning("reserve_not_started", code=error.code, detail=error.detail)
            self._end(cluster)
            raise
        except BaseException:
            self._end(cluster)
            raise
        return cluster

    def _new(self, shape: ClusterShape, marks: Marks | None) -> JobCluster:
        return JobCluster(self._around, f"python-{next(self._numbers)}", shape, self._now, marks)
