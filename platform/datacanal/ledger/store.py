"""The book's database: written by one at a time, read by anybody."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, update
from sqlalchemy.orm import Session

from datacanal.ledger import PLACE
from datacanal.ledger.book import say_writer
from datacanal.ledger.models import ChangeRow
from datacanal.ledger.turns import DatabaseTurns, FileTurns, Turns
from datacanal.storage.databases import open_to_read, open_to_write
from datacanal.storage.places import EMBEDDED
from datacanal.storage.postgres import telling

_LOCK = "ledger.lock"


class LedgerStore:
    """`writing` is a transaction that is alone; `reading` sees what was committed. Usable from any thread.

    Both raise `StoreUnavailable` where the database is away; they work again when it is back.
    """

    def __init__(self, writer: Engine, reader: Engine, turns: Turns) -> None:
        self._writer = writer
        self._reader = reader
        self._one = threading.Lock()
        self._turns = turns

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other process writes beside; committed and durable at the block's end.

        `CommitUnheard` says that this is not known: ask in the next one for what was written, by its ids.
        """
        with self.turn() as connection:
            yield connection
            say_writer(connection)

    @contextmanager
    def turn(self) -> Iterator[Connection]:
        """The same for who changes nothing that meters keep (`ledger.kept`), or says itself who wrote."""
        with self._one, telling(), self._turns.taken(self._writer) as connection:
            yield connection

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
        with telling(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def reading_rows(self) -> Iterator[Session]:
        """The same as a session of the object mapper."""
        with Session(self._reader, autoflush=False) as session:
            yield session

    def close(self) -> None:
        """Let go of the database."""
        self._turns.close()
        self._writer.dispose()
        self._reader.dispose()


def open_ledger(home: Path, database: str = EMBEDDED) -> LedgerStore:
    """The book of a home directory or of a PostgreSQL database, made or migrated by whoever comes first.

    Raises `StoreUnavailable`, and `BadConfiguration` for a database that cannot hold it.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / _LOCK).open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        writer = open_to_write(database, home, PLACE, begin="BEGIN IMMEDIATE")
    turns = FileTurns(home / _LOCK) if database == EMBEDDED else DatabaseTurns()
    return LedgerStore(writer, open_to_read(database, home, PLACE), turns)
