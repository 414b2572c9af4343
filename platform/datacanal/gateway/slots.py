"""How much may run at once: so many executions, so many that wait for their turn, and nobody waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datacanal.domain.errors import ServiceBusy

_WAITING = 256
_WAIT_S = 10.0


class Slots:
    """Belongs to one event loop."""

    def __init__(self, slots: int, *, waiting: int = _WAITING, wait_s: float = _WAIT_S) -> None:
        self._free = asyncio.Semaphore(slots)
        self._most_waiting = waiting
        self._wait_s = wait_s
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block. Raises `ServiceBusy`."""
        await self.take()
        try:
            yield
        finally:
            self.give_back()

    async def take(self) -> None:
        """Wait for a slot; the caller gives it back. Raises `ServiceBusy`."""
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise ServiceBusy(reason="too many queries wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise ServiceBusy(reason=f"no query ended within {self._wait_s:g} s") from None
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """One slot is free again."""
        self._free.release()
