"""What a meter keeps from one of its transactions to the next: rows that nobody else wrote in between.

The book names its last writer. A meter that finds there what it wrote itself need not read again what it read then; any
other name, and it forgets all.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from datacanal.domain.usage import Terms

if TYPE_CHECKING:
    from datacanal.ledger.bursts import Counter
    from datacanal.ledger.charging import Counted, Tally
    from datacanal.ledger.entry import KnownKey

_MOST = 20_000


class Kept:
    """Rows by their keys, None where there is none. Belongs to whoever writes one transaction after another."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._number = 0
        self._writer: str | None = None
        self.keys: dict[str, KnownKey | None] = {}
        self.states: dict[str, str | None] = {}
        """Of subscriptions."""
        self.tallies: dict[tuple[str, datetime], list[Tally] | None] = {}
        self.counted: dict[tuple[int, datetime], tuple[Terms, list[Counted]]] = {}
        self.bursts: dict[str, Counter | None] = {}

    def begin(self, writer: str) -> None:
        """A transaction begins, after that writer's. What it changes here holds when it said `next_writer`."""
        held: tuple[dict[Any, Any], ...] = (self.keys, self.states, self.tallies, self.counted, self.bursts)
        if writer != self._writer or sum(map(len, held)) > _MOST:
            for each in held:
                each.clear()
        self._writer = None

    def next_writer(self) -> str:
        """What the transaction writes into the book as its last writer, when all else is written."""
        self._number += 1
        self._writer = f"{self._name}:{self._number}"
        return self._writer
