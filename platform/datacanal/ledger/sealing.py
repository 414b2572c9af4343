"""Seal the book: sign its end once a second, in the book and in a second place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection, select

from datacanal.domain.chain import BEGINNING, instant
from datacanal.domain.checkpoint import FIRST_MARK, Checkpoint
from datacanal.domain.metering_errors import LedgerDamaged
from datacanal.ledger.checkpoints import add_checkpoint, last_checkpoint
from datacanal.ledger.models import BookRow, EventRow
from datacanal.ledger.sealing_turns import Turn
from datacanal.ledger.second_place import SecondPlace
from datacanal.ledger.signing import LedgerKey
from datacanal.ledger.store import LedgerStore
from datacanal.seals import fingerprint

_EVERY_S = 0.5
_MOST_EVENTS = 2000
"""How many events one checkpoint covers at most: so long is a receipt's proof."""
_log = structlog.get_logger()


class Sequencer:
    """A thread that seals what was appended, at most a second later, whenever it is this process's turn.

    `problem` says why it does not seal. Nothing is signed while the copy lacks what was signed before.
    """

    def __init__(self, store: LedgerStore, key: LedgerKey, copy: Path, turn: Turn, now: Callable[[], datetime]) -> None:
        self._store = store
        self._key = key
        self._copy = SecondPlace(copy)
        self._turn = turn
        self._now = now
        self._behind = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)
        self.problem: str | None = None

    def start(self) -> None:
        """Begin to seal."""
        self._thread.start()

    def close(self) -> None:
        """Seal what is left, where it is our turn, and stop."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._turn.give()

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            while self._turn.take() and self.seal() is not None and self._behind:
                pass  # what is appended meanwhile waits for the next time: else each of a few events had its own
            self.problem = None
        except Exception as error:  # whatever it is, the next try may succeed; until then nothing is sealed
            words = str(error) if isinstance(error, LedgerDamaged | OSError) else type(error).__name__
            if words != self.problem:
                _log.error("ledger_not_sealed", why=words)
            self.problem = words
            self._give_up_turn()

    def _give_up_turn(self) -> None:
        """Another gateway may be able to do what this one is not."""
        try:
            self._turn.give()
        except Exception as error:
            _log.error("turn_not_given_up", error=type(error).__name__)

    def seal(self) -> Checkpoint | None:
        """Sign the next events that no checkpoint covers, after completing the copy; while it is our turn.

        Raises `LedgerDamaged` where the book is not what was sealed before, or the copy not what was copied, and
        `OSError` where the copy cannot be written.
        """
        with self._store.reading() as connection:
            last = last_checkpoint(connection)
            new = self._next(connection, last)
        self._copy.complete(last)
        if new is None:
            return None
        with self._store.turn() as connection:
            add_checkpoint(connection, new)
        self._copy.complete(new)
        return new

    def _next(self, connection: Connection, last: Checkpoint | None) -> Checkpoint | None:
        book = connection.execute(select(BookRow.seq, BookRow.head)).one()
        sealed = last.count if last else 0
        _check(sealed, last.head if last else BEGINNING, _hash_of(connection, sealed))
        _check(book.seq, book.head, _hash_of(connection, book.seq))
        if book.seq == sealed:
            return None
        count = min(book.seq, sealed + _MOST_EVENTS)
        self._behind = book.seq - count
        unsigned = Checkpoint(
            number=last.number + 1 if last else 1,
            count=count,
            head=_hash_of(connection, count),
            at=instant(self._now()),
            previous=last.mark if last else FIRST_MARK,
            key=fingerprint(self._key.public),
        )
        return replace(unsigned, signature=self._key.sign(unsigned.signed_text))


def _hash_of(connection: Connection, seq: int) -> str:
    """The hash of the event of that number; nothing where there is none."""
    if seq == 0:
        return BEGINNING
    return connection.execute(select(EventRow.hash).where(EventRow.seq == seq)).scalar() or ""


def _check(seq: int, noted: str, found: str) -> None:
    """What was noted is not sealed over: the ends of then and now are those of the events."""
    if noted != found:
        raise LedgerDamaged(place=f"event {seq}", reason=f"event {seq} has not the hash that was noted for it")
