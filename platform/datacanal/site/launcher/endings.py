"""Waiting for containers to end: one stream of the engine's events per site, whoever waits."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from threading import Thread

import structlog
from starlette.concurrency import run_in_threadpool

from datacanal.domain.errors import DatacanalError, NotFound
from datacanal.site.launcher.household import Household, state_of
from datacanal.site.launcher.labels import owner_labels
from datacanal.site.launcher.specification import ContainerState

_LOOK_AGAIN_S = 5.0
"""Without an event, for some are lost when the engine is started again."""
_LOOK_SOON_S = 0.05
_RECONNECT_S = 1.0
_log = structlog.get_logger()


class Endings:
    """For the running loop. Its thread ends with the process."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._loop = asyncio.get_running_loop()
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        Thread(target=self._follow, name=f"endings {household.site.name}", daemon=True).start()

    async def wait(self, name: str, timeout_s: float) -> ContainerState:
        """How the container is once it has ended, or after so long. Raises `NotFound`, also when it is removed."""
        ends_at = self._loop.time() + timeout_s
        first = await run_in_threadpool(self._household.container, name)
        happened = asyncio.Event()
        self._waiting[first.id].add(happened)
        try:
            while True:
                found = await run_in_threadpool(self._household.container, name)
                if found.id != first.id:
                    raise NotFound(what="container", name=name)
                left_s = ends_at - self._loop.time()
                if found.status == "ended" or left_s <= 0:
                    return state_of(found)
                pause_s = _LOOK_SOON_S if happened.is_set() else _LOOK_AGAIN_S
                await _at_most(min(left_s, pause_s), happened)
        finally:
            self._waiting[first.id].discard(happened)
            if not self._waiting[first.id]:
                del self._waiting[first.id]

    def _follow(self) -> None:
        while True:
            try:
                for container in self._household.engine.endings(owner_labels(self._household.site)):
                    self._loop.call_soon_threadsafe(self._tell, container)
            except DatacanalError as error:
                _log.warning("events_interrupted", site=self._household.site.name, code=error.code)
            except RuntimeError:  # the loop is closed
                return
            time.sleep(_RECONNECT_S)

    def _tell(self, container: str) -> None:
        for happened in self._waiting.get(container, ()):
            happened.set()


async def _at_most(seconds: float, happened: asyncio.Event) -> None:
    if happened.is_set():
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await happened.wait()
