"""Notice when a client that waits for a long answer has gone away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.requests import Request


class Departure:
    """Whether the client is gone; `on_leave` runs at that moment."""

    def __init__(self) -> None:
        self.happened = False
        self.on_leave: Callable[[], None] = lambda: None

    def happen(self) -> None:
        self.happened = True
        self.on_leave()


@asynccontextmanager
async def watching(request: Request) -> AsyncIterator[Departure]:
    """Watch the connection of a request whose body was read whole."""
    departure = Departure()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        departure.happen()

    watcher = asyncio.create_task(watch())
    try:
        yield departure
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
