"""The book's database: written by one at a time, read by anybody."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, update
from sqlalchemy.orm import Session

from datacanal.domain.errors import NotAvailable
from datacanal.ledger import DATABASE, MIGRATIONS
from datacanal.ledger.models import ChangeRow
from datacanal.storage.sqlite import open_database, read_database

_LOCK = "ledger.lock"


class LedgerStore:
    """`writing` is a transaction that is alone; `reading` sees what was committed. Usable from any thread."""

    def __init__(self, writer: Engine, reader: Engine, lock: Path) -> None:
        self._writer = writer
        self._reader = reader
        self._one = threading.Lock()
        self._lock = lock.open("a")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other process writes beside; committed and durable at the block's end."""
        with self._one:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                with self._writer.begin() as connection:
                    yield connection
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def writing_rows(self) -> Iterator[Session]:
        """The same as a session of the object mapper."""
        with self.writing() as connection, Session(connection, join_transaction_mode="rollback_only") as session:
            yield session
            session.flush()

    @contextmanager
    def changing(self) -> Iterator[Session]:
        """A writing session that changes who may call or what it costs: every gateway reads it anew within 0.1 s."""
        with self.writing_rows() as session:
            yield session
            session.execute(update(ChangeRow).values(number=ChangeRow.number + 1))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """What was committed, as it was in one moment."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def reading_rows(self) -> Iterator[Session]:
        """The same as a session of the object mapper."""
        with Session(self._reader, autoflush=False) as session:
            yield session

    def close(self) -> None:
        """Let go of the database."""
        self._writer.dispose()
        self._reader.dispose()
        self._lock.close()


def open_ledger(home: Path, database: str = "sqlite") -> LedgerStore:
    """The book of a home directory, made or migrated by whoever comes first. Raises `NotAvailable`."""
    if database != "sqlite":
        raise NotAvailable(key="control.database", what="this database", hint="Use sqlite.")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / _LOCK).open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        writer = open_database(home / DATABASE, MIGRATIONS, begin="BEGIN IMMEDIATE")
    return LedgerStore(writer, read_database(home / DATABASE), home / _LOCK)
