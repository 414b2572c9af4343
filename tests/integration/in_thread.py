"""A gateway on an event loop of its own, for tests that call it with blocking clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from tests.products import ProductHome, Running, serving

_READY_S = 60


async def _nothing(_: Running) -> None: ...


class GatewayInThread:
    """Answers within its block, at `url`; `prepare` comes before that, on the gateway's loop."""

    def __init__(self, home: ProductHome, prepare: Callable[[Running], Awaitable[None]] = _nothing) -> None:
        self._home = home
        self._prepare = prepare
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self) -> GatewayInThread:
        self._thread.start()
        assert self._ready.wait(_READY_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._home) as running:
            self.url = running.url
            await self._prepare(running)
            self._ready.set()
            await self._stop.wait()
