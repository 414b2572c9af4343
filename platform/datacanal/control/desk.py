"""The way to the store from the event loop: one writer thread, readers beside it, waiters told after each commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.clock import Clock
from datacanal.control.signals import Signals
from datacanal.control.store.opening import Store
from datacanal.protocol.site import StepRef

T = TypeVar("T")
_READERS = 4


class Desk:
    """Runs functions in transactions. Lives on one event loop; `close` ends its threads."""

    def __init__(self, store: Store, clock: Clock, *, result_expiry_s: float) -> None:
        self.clock = clock
        self.signals = Signals()
        self._store = store
        self._result_expiry_s = result_expiry_s
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(_READERS, "store-reader")
        self._stops: dict[str, list[StepRef]] = {}

    async def write(self, work: Callable[[Change], T]) -> T:
        """Run `work` alone in one transaction; nothing is kept and nobody is told when it raises."""
        loop = asyncio.get_running_loop()
        # Shielded, so that a caller that goes away cannot keep the others from being told of a commit.
        return await asyncio.shield(loop.create_task(self._written(work)))

    async def _written(self, work: Callable[[Change], T]) -> T:
        result, change = await asyncio.get_running_loop().run_in_executor(self._writer, self.write_now, work)
        self._tell(change)
        return result

    def write_now(self, work: Callable[[Change], T]) -> tuple[T, Change]:
        """The same without an event loop, for the time before one runs."""
        with Session(self._store.writer, expire_on_commit=False) as session, session.begin():
            change = Change(session, self.clock, self._result_expiry_s)
            result = work(change)
            change.finish()
            return result, change

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` over one consistent view of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def read_now(self, work: Callable[[Session], T]) -> T:
        with Session(self._store.reader) as session:
            return work(session)

    def take_stops(self, session: str) -> list[StepRef]:
        """The steps that this agent was not yet told to end. Heartbeats say it again."""
        return self._stops.pop(session, [])

    def _tell(self, change: Change) -> None:
        for session, step in change.stops:
            self._stops.setdefault(session, []).append(step)
        self.signals.wake(change.wakes)

    def close(self) -> None:
        """Let what was begun finish, then end the threads."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._store.dispose()
