"""Callers who ask the same at the same time share one execution; it is stopped when the last of them has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class Flights(Generic[T]):
    """Executions under way, by what they execute. Belongs to one event loop."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, execute: Callable[[], Awaitable[T]]) -> T:
        """What the execution of that key gives, begun by whoever comes first. Cancel to leave."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begin(key, execute)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._forget(key, flight)
                flight.task.cancel()

    def _begin(self, key: Hashable, execute: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def run() -> T:
            return await execute()

        flight = _Flight(asyncio.create_task(run()))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # whoever waited was told; nobody else needs to be
