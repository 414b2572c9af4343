"""Whose turn it is to write the book: one transaction at a time among all processes that have it open."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine

from datacanal.domain.errors import StoreUnavailable
from datacanal.storage.postgres import take_turn


class CommitUnheard(StoreUnavailable):
    """The connection broke in the commit: it happened or it did not. Whoever has the next turn can see which."""


class Turns(Protocol):
    """How turns are taken with one kind of database."""

    def taken(self, writer: Engine) -> AbstractContextManager[Connection]:
        """One transaction that is alone. Raises `StoreUnavailable`, `CommitUnheard`."""

    def close(self) -> None:
        """Nobody takes turns any more."""


class FileTurns:
    """By a lock on a file beside the embedded database: unlike the database's own it queues.

    One connection serves all turns of a process: to take one from a pool costs as much as a small transaction.
    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock.open("a")
        self._connection: Connection | None = None

    @contextmanager
    def taken(self, writer: Engine) -> Iterator[Connection]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            if self._connection is None:
                self._connection = writer.connect()
            with self._connection.begin():
                yield self._connection
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._lock.close()


class DatabaseTurns:
    """By a lock that PostgreSQL ends with the transaction, however that ends."""

    @contextmanager
    def taken(self, writer: Engine) -> Iterator[Connection]:
        with writer.connect() as connection, connection.begin() as transaction:
            take_turn(connection)
            yield connection
            try:
                transaction.commit()
            except StoreUnavailable as error:
                raise CommitUnheard(**error.data) from error.__cause__

    def close(self) -> None:
        """There is nothing to let go of."""
