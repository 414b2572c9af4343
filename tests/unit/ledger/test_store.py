"""The book's database: one writes at a time, readers see one moment, and changes are told."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import select, text, update

from datacanal.ledger.models import BookRow, ChangeRow
from datacanal.ledger.store import LedgerStore, open_ledger

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
