"""Whose turn it is to seal: of all gateways one at a time, and another as soon as that one ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from datacanal.domain.errors import StoreUnavailable
from datacanal.ledger.store import LedgerStore
from datacanal.storage.places import EMBEDDED
from datacanal.storage.postgres import end_sealing, hold_sealing, is_alive

_FILE = "sealing.lock"


class Turn(Protocol):
    """Taken without waiting; kept until given back or until the process ends."""

    def take(self) -> bool:
        """Whether it is ours now; asked again, whether it still is."""

    def give(self) -> None:
        """Let another have it."""


def turn_for(store: LedgerStore, home: Path, database: str) -> Turn:
    """The turn of all gateways that share the book."""
    return FileTurn(home / _FILE) if database == EMBEDDED else SessionTurn(store)


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
            with suppress(SQLAlchemyError, StoreUnavailable):  # then the lock ended with the connection
                end_sealing(connection)
            connection.invalidate()  # so that no lock goes back to the pool, whatever was answered
            stack.close()

    def _taken(self) -> tuple[ExitStack, Connection] | None:
        with ExitStack() as stack:
            connection = stack.enter_context(self._store.reading())
            if hold_sealing(connection):
                return stack.pop_all(), connection
        return None

    @staticmethod
    def _is_alive(connection: Connection) -> bool:
        try:
            return is_alive(connection)
        except (SQLAlchemyError, StoreUnavailable):
            return False
