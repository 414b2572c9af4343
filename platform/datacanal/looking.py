"""Many who want the same look share it, and none of them gets one that began before it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class SharedLook:
    """`look` is slow and runs in a thread. Belongs to one event loop."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Return after a look that began after this call. Raises what `look` raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait({running})
        self._running, self._next = self._next, None
        await asyncio.to_thread(self._look)
