"""Names for requests, receipts and what else a gateway makes, thousands a second.

Randomness is taken from the system many bytes at a time: each time, the thread that asks lets others run first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from datacanal.domain.ids import ALPHABET, RANDOM_LENGTH, id_ending

_TAKEN = 256
_WRITTEN = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))


class Names:
    """Usable from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._endings: list[str] = []

    def new(self, prefix: str) -> str:
        """A new id: `prefix_…`."""
        return id_ending(prefix, self._now(), self._ending())

    def _ending(self) -> str:
        """Each is given once: taking from a list, and adding to it, is one step for all threads."""
        try:
            return self._endings.pop()
        except IndexError:
            first, *others = _endings()
            self._endings += others
            return first


def _endings() -> list[str]:
    """A byte's last five bits are as random as it is: 32 divides 256."""
    text = os.urandom(RANDOM_LENGTH * _TAKEN).translate(_WRITTEN).decode()
    return [text[at : at + RANDOM_LENGTH] for at in range(0, len(text), RANDOM_LENGTH)]
