"""Stopping a read from another thread, when nobody waits for its rows any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReadStopped(Exception):
    """The rows were not wanted any more; raised in the thread that was reading them."""


class Stop:
    """One read's switch: `set` may be called from any thread, at any time, any number of times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._interrupt: Callable[[], None] | None = None

    def set(self) -> None:
        """End the read as soon as may be."""
        with self._lock:
            self._set = True
            if self._interrupt is not None:
                self._interrupt()

    def check(self) -> None:
        """Raises `ReadStopped` once `set` was called."""
        if self._set:
            raise ReadStopped

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """While inside, `set` calls `interrupt` as well."""
        with self._lock:
            self._interrupt = interrupt
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._interrupt = None
