"""One gateway at a time seals and every book proves itself, whatever database it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.ledgers import Ledger, draft

from datacanal.ledger.sealing_turns import FileTurn, SessionTurn, turn_for
from datacanal.storage.places import EMBEDDED


@pytest.fixture
def ledger(any_database: str, tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "home", any_database)
    yield ledger
    ledger.close()


def test_of_two_gateways_one_has_the_turn_until_it_gives_it_back(ledger: Ledger) -> None:
    one, other = (turn_for(ledger.store, ledger.home, ledger.database) for _ in range(2))
    assert isinstance(one, FileTurn if ledger.database == EMBEDDED else SessionTurn)
    assert one.take()
    assert one.take()
    assert not other.take()
    other.give()
    assert not other.take()
    one.give()
    assert other.take()
    assert not one.take()
    other.give()


def test_a_sealed_book_holds_and_has_the_same_hashes(ledger: Ledger) -> None:
    ledger.subscribed()
    ledger.grow(7, 3)
    report = ledger.report()
    assert (report.count, report.unsealed, report.faults) == (7, 1, ())
    # What is hashed is the same whatever the database: the same events have the same hash in both.
    assert report.head == "72f8c7a13e49cd6bf8bbfea13c56c306b52ef80899a65eb6dc0aa19a1ddb730b"


def test_a_thread_of_its_own_seals(ledger: Ledger) -> None:
    ledger.sequencer.start()
    ledger.add(draft(1))
    while not ledger.copy.exists():
        pass
    ledger.sequencer.close()
    assert ledger.report().unsealed == 0
    assert ledger.sequencer.problem is None


@pytest.mark.postgres
def test_the_turn_of_a_connection_that_ended_is_anothers(postgres_database: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home", postgres_database)
    one, other = SessionTurn(ledger.store), SessionTurn(ledger.store)
    assert one.take()
    ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    with psycopg.connect(postgres_database.replace("+psycopg", ""), autocommit=True) as direct:
        direct.execute(ended).fetchall()
    while not other.take():
        pass
    assert not one.take()
    one.give()
    other.give()
    ledger.close()


@pytest.mark.postgres
def test_what_is_changed_in_postgresql_is_found_and_located(postgres_database: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home", postgres_database)
    ledger.subscribed()
    ledger.grow(6, 3)
    with psycopg.connect(postgres_database.replace("+psycopg", ""), autocommit=True) as direct:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            direct.execute("UPDATE ledger.events SET rows = 0 WHERE seq = 5")
        direct.execute("ALTER TABLE ledger.events DISABLE TRIGGER ALL")
        direct.execute("UPDATE ledger.events SET at = at + interval '1 microsecond' WHERE seq = 5")
    [fault] = ledger.report().faults
    assert (fault.what, fault.first, fault.last) == ("event", 5, 5)
    ledger.close()
