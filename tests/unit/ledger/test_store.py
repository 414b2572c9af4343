"""The book's database: one writes at a time, readers see one moment, and changes are told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from tests.plugins.postgres import PostgresServer

from datacanal.domain.errors import StoreUnavailable
from datacanal.ledger.models import BookRow, ChangeRow
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.ledger.turns import CommitUnheard

WRITERS, ROUNDS = 4, 25


def test_whoever_writes_is_alone(any_ledger: LedgerStore, any_database: str, tmp_path: Path) -> None:
    """Each reads a number and writes one more: alone that many times, nothing is lost."""

    def count() -> None:
        store = open_ledger(tmp_path / "home", any_database)
        for _ in range(ROUNDS):
            with store.writing() as connection:
                seq = connection.scalar(select(BookRow.seq)) or 0
                connection.execute(update(BookRow).values(seq=seq + 1))
        store.close()

    threads = [threading.Thread(target=count) for _ in range(WRITERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with any_ledger.reading() as connection:
        assert connection.scalar(select(BookRow.seq)) == WRITERS * ROUNDS


def test_a_reader_sees_one_moment(any_ledger: LedgerStore) -> None:
    with any_ledger.reading() as reader:
        before = reader.scalar(select(BookRow.seq))
        with any_ledger.writing() as writer:
            writer.execute(update(BookRow).values(seq=5))
        assert reader.scalar(select(BookRow.seq)) == before
    with any_ledger.reading() as reader:
        assert reader.scalar(select(BookRow.seq)) == 5


def test_a_change_is_told_and_kept(any_ledger: LedgerStore) -> None:
    with any_ledger.changing() as session:
        session.execute(update(BookRow).values(head="x"))
    with any_ledger.reading() as connection:
        assert connection.scalar(select(ChangeRow.number)) == 1
        assert connection.scalar(select(BookRow.head)) == "x"


def test_what_raised_wrote_nothing(any_ledger: LedgerStore) -> None:
    class Stopped(Exception): ...

    try:
        with any_ledger.writing() as connection:
            connection.execute(update(BookRow).values(seq=9))
            raise Stopped
    except Stopped:
        pass
    with any_ledger.reading() as connection:
        assert connection.scalar(text("SELECT seq FROM book")) == 0


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["writing", "reading"])
def test_a_database_that_dies_under_a_transaction_is_told_and_comes_back(
    postgres: PostgresServer, postgres_database: str, tmp_path: Path, how: str
) -> None:
    store = open_ledger(tmp_path, postgres_database)

    def dying() -> None:
        with getattr(store, how)() as connection:
            cursor = connection.connection.cursor()  # the driver's own, as the meter uses
            cursor.execute("SELECT 1")
            postgres.kill()
            cursor.execute("SELECT 1")

    with pytest.raises(StoreUnavailable, match="does not answer"):
        dying()
    with pytest.raises(StoreUnavailable, match="does not answer"), getattr(store, how)():
        pass
    postgres.start()
    with getattr(store, how)() as connection:
        assert connection.scalar(select(BookRow.seq)) == 0
    store.close()


@pytest.mark.postgres
def test_a_commit_that_nobody_heard_of_is_told_apart(
    postgres: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    store = open_ledger(tmp_path, postgres_database)

    def dying() -> None:
        with store.turn() as connection:
            connection.execute(update(BookRow).values(seq=7))
            postgres.kill()

    with pytest.raises(CommitUnheard):
        dying()
    postgres.start()
    with store.writing() as connection:
        assert connection.scalar(select(BookRow.seq)) == 0
    store.close()
