"""What a driver tells its agent, while code that may do anything runs beside it in the same process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from datacanal.frames import write_frame
from datacanal.protocol.base import Document
from datacanal.site.engine.python_task import GaveUp, Progress, Returned

_PROGRESS_EVERY_S = 0.2


class Voice:
    """Whole frames, whichever thread speaks; nothing after the last word; silence from a forked copy."""

    def __init__(self, frames: BinaryIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._frames = frames
        self._clock = clock
        self._owner = os.getpid()
        self._one_at_a_time = threading.Lock()
        self._has_ended = False
        self._progress_at = float("-inf")

    def say(self, event: Document) -> None:
        """Send it, unless the last word was said."""
        with self._one_at_a_time:
            self._write(event)

    def progress(self, fraction: float) -> None:
        """Send it, unless one was sent just before."""
        event = Progress(fraction=fraction)
        with self._one_at_a_time:
            if self._clock() - self._progress_at >= _PROGRESS_EVERY_S:
                self._progress_at = self._clock()
                self._write(event)

    def last(self, outcome: Returned | GaveUp) -> None:
        """Send how it ended."""
        with self._one_at_a_time:
            self._write(outcome)
            self._has_ended = True

    def is_ours(self) -> bool:
        """False in a process that the function forked."""
        return os.getpid() == self._owner

    def _write(self, event: Document) -> None:
        if not self._has_ended and self.is_ours():
            write_frame(self._frames, event.model_dump_json().encode())
