"""Whose turn it is to seal: of all gateways one at a time, and another as soon as that one ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from datacanal.ledger.store import LedgerStore

_FILE = "sealing.lock"
_NUMBER = 7_305_816_402
"""The advisory lock of sealing in a PostgreSQL database."""


class Turn(Protocol):
    """Taken without waiting; kept until given back or until the process ends."""

    def take(self) -> bool:
        """Whether it is ours now; asked again, whether it still is."""

    def give(self) -> None:
        """Let another have it."""


def turn_for(store: LedgerStore, home: Path) -> Turn:
    """The turn of all gateways that share the book."""
    with store.reading() as connection:
        is_shared = connection.dialect.name == "postgresql"
    return SessionTurn(store) if is_shared else FileTurn(home / _FILE)


class FileTurn:
    """For gateways of one home: a lock on a file of it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: int | None = None

    def take(self) -> bool:
        if self._held is not None:
            return True
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._held = descriptor
        return True

    def give(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


class SessionTurn:
    """For gateways of one PostgreSQL database: a lock of a session, which the database ends with the connection."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._held: tuple[ExitStack, Connection] | None = None

    def take(self) -> bool:
        if self._held is not None and not self._is_alive(self._held[1]):
            self.give()
        if self._held is None:
            self._held = self._taken()
        return self._held is not None

    def give(self) -> None:
        if self._held is not None:
            stack, connection = self._held
            self._held = None
            connection.invalidate()  # the session ends, and the lock with it; it does not go back to the pool
            stack.close()

    def _taken(self) -> tuple[ExitStack, Connection] | None:
        with ExitStack() as stack:
            connection = stack.enter_context(self._store.reading())
            if connection.execute(text("SELECT pg_try_advisory_lock(:number)"), {"number": _NUMBER}).scalar_one():
                connection.commit()  # the lock is the session's; an open transaction would keep old rows alive
                return stack.pop_all(), connection
        return None

    @staticmethod
    def _is_alive(connection: Connection) -> bool:
        try:
            connection.execute(text("SELECT 1"))
            connection.commit()
        except SQLAlchemyError:
            return False
        return True
