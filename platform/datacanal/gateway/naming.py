"""Names for requests, receipts and what else a gateway makes, thousands a second.

Randomness is taken from the system many bytes at a time: each time, the thread that asks lets others run first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime

from datacanal.domain.ids import RANDOM_BYTES, new_id

_TAKEN_BYTES = 4096


class Names:
    """Usable from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._random = b""
        self._one = threading.Lock()

    def new(self, prefix: str) -> str:
        """A new id: `prefix_…`."""
        return new_id(prefix, self._now(), self._taken())

    def _taken(self) -> bytes:
        with self._one:
            if len(self._random) < RANDOM_BYTES:
                self._random = os.urandom(_TAKEN_BYTES)
            taken, self._random = self._random[:RANDOM_BYTES], self._random[RANDOM_BYTES:]
        return taken
