"""When a transaction begins: as soon as all who are on their way are there, or the first one has waited enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from types import TracebackType

_LONGEST_S = 0.005


class Gathering:
    """Belongs to the event loop. `there` is who waits, of any number; `begin` lets them be written."""

    def __init__(self, there: Sized, begin: Callable[[], None]) -> None:
        self._there = there
        self._begin = begin
        self._expected = 0
        self._latest: asyncio.TimerHandle | None = None

    def expecting(self) -> Expected:
        """One more is on its way, or there, until the block ends."""
        return Expected(self)

    def arrived(self, loop: asyncio.AbstractEventLoop) -> None:
        """One more is there."""
        if len(self._there) >= self._expected:
            self._now()
        elif self._latest is None:
            self._latest = loop.call_later(_LONGEST_S, self._now)

    def enter(self) -> None:
        """One more is on its way."""
        self._expected += 1

    def leave(self) -> None:
        """One who was on its way does not come any more, or was answered."""
        self._expected -= 1
        if 0 < len(self._there) >= self._expected:
            self._now()

    def _now(self) -> None:
        if self._latest is not None:
            self._latest.cancel()
            self._latest = None
        self._begin()


class Expected:
    """One who is expected, within the block; `leave` ends that earlier."""

    __slots__ = ("_gathering",)

    def __init__(self, gathering: Gathering) -> None:
        self._gathering: Gathering | None = gathering

    def leave(self) -> None:
        """Nobody waits for this one any more. May be called twice."""
        if self._gathering is not None:
            self._gathering.leave()
            self._gathering = None

    def __enter__(self) -> Expected:
        assert self._gathering is not None  # noqa: S101  # each is entered once
        self._gathering.enter()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.leave()
