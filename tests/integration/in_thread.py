"""A service on an event loop of its own, for tests that call it with blocking clients."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

_READY_S = 60
T = TypeVar("T")


class InThread(Generic[T]):
    """The service lives as long as the block, which gets what it gives."""

    def __init__(self, service: AbstractAsyncContextManager[T]) -> None:
        self._service = service
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self) -> T:
        self._thread.start()
        assert self._ready.wait(_READY_S)
        return self._given

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._service as self._given:
            self._ready.set()
            await self._stop.wait()
