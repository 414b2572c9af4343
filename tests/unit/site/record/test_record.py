"""The record: every decision once, in one chain that goes on over restarts and never over damage."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from tests.unit.site.record.tampering import RELEASE, cut_tail, sign, verifier

from datacanal.domain.errors import NotFound, RecordDamaged
from datacanal.site.record.book import open_record
from datacanal.site.record.entry import BEGINNING, Entry, hash_of, values_of
from datacanal.site.record.head import HEAD_FILE, read_head, write_head
from datacanal.site.record.notes import note_of
from datacanal.site.record.reading import Wanted, read_entries, read_entry
from datacanal.site.store.database import MIGRATIONS
from datacanal.testing.site_books import SiteBooks, open_books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path / "core")
    yield opened
    opened.close()


# ---------------------------------------------------------------- writing


def test_entries_follow_each_other_and_the_head_is_signed_in_store_and_file(books: SiteBooks, tmp_path: Path) -> None:
    first = books.record.add(RELEASE)
    second = books.record.add(replace(RELEASE, job="job_2"))
    assert (first.seq, first.previous) == (1, BEGINNING)
    assert (second.seq, second.previous) == (2, first.hash)
    assert second.hash == hash_of(values_of(2, second.entry, first.hash))
    head = verifier(tmp_path / "core").verify()
    assert (head.count, head.hash) == (2, second.hash)
    assert read_head(tmp_path / "core" / HEAD_FILE) == head


def test_a_release_is_written_once_and_a_refusal_once_per_attempt(books: SiteBooks) -> None:
    released = [books.record.add(replace(RELEASE, fence=fence)) for fence in (1, 2, 3)]
    assert {entry.seq for entry in released} == {1}
    refusal = replace(RELEASE, decision="refused", reason="egress_budget_exceeded: …")
    assert [books.record.add(replace(refusal, fence=fence)).seq for fence in (1, 1, 2, 2)] == [2, 2, 3, 3]
    other = replace(RELEASE, receivers=("west", "east"))
    assert books.record.add(other).seq == 4


def test_what_is_no_release_is_written_each_time(books: SiteBooks) -> None:
    served = replace(RELEASE, decision="served")
    pinned = Entry(at_ms=1, kind="peer", decision="accepted", receivers=("west",), digest="f")
    assert [books.record.add(entry).seq for entry in (served, served, pinned, pinned)] == [1, 2, 3, 4]


def test_an_entry_belongs_to_the_transaction_that_it_is_written_in(books: SiteBooks, tmp_path: Path) -> None:
    books.record.add(RELEASE)

    def fail(session: Session) -> None:
        books.record.append(session, replace(RELEASE, job="job_2"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Session(books.engine) as session, session.begin():
        fail(session)
    assert [found.entry.job for found in books.record.entries()] == ["job_1"]
    head = read_head(tmp_path / "core" / HEAD_FILE)
    assert head is not None
    assert head.count == 1
    assert verifier(tmp_path / "core").verify() == head


def test_several_entries_of_one_transaction_stand_in_their_order(books: SiteBooks, tmp_path: Path) -> None:
    with Session(books.engine) as session, session.begin():
        for number in range(3):
            books.record.append(session, replace(RELEASE, job=f"job_{number}"))
    assert [found.entry.job for found in books.record.entries()] == ["job_0", "job_1", "job_2"]
    assert verifier(tmp_path / "core").verify().count == 3


def test_words_that_are_no_text_do_not_keep_a_refusal_from_being_written(books: SiteBooks) -> None:
    refused = books.record.add(replace(RELEASE, decision="refused", reason="\ud800" + "x" * 9000))
    (found,) = books.record.entries()
    assert found.hash == refused.hash
    assert found.entry.reason.startswith("\\ud800xxx")
    assert len(found.entry.reason) < 5000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET rows = 0",
        "DELETE FROM record",
        "INSERT OR REPLACE INTO record SELECT * FROM record WHERE seq = 1",
        "INSERT INTO record SELECT * FROM (SELECT * FROM record WHERE seq = 1)",
    ],
)
def test_the_store_itself_refuses_to_change_what_was_recorded(books: SiteBooks, statement: str) -> None:
    books.record.add(RELEASE)
    with pytest.raises(IntegrityError, match="append-only"), books.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_note_of_governed_data_tells_rounded_rows_and_the_hash(books: SiteBooks) -> None:
    exact, governed = replace(RELEASE, governed=False, job="job_2"), RELEASE
    notes = [note_of(books.record.add(entry)) for entry in (exact, governed)]
    assert [note.rows for note in notes] == [1234, 1200]
    assert notes[1].hash == books.record.entries()[1].hash
    assert (notes[1].policies, notes[1].receivers, notes[1].withheld_groups) == ({"t": "d" * 64}, ["west"], 3)


# ---------------------------------------------------------------- opening


def test_opening_again_goes_on_with_the_same_chain(tmp_path: Path) -> None:
    for number in range(3):
        books = open_books(tmp_path)
        assert books.record.add(replace(RELEASE, job=f"job_{number}")).seq == number + 1
        books.close()
    assert verifier(tmp_path).verify().count == 3


def test_a_file_that_lags_behind_the_store_is_brought_up(tmp_path: Path) -> None:
    books = open_books(tmp_path)
    books.record.add(RELEASE)
    before = read_head(tmp_path / HEAD_FILE)
    assert before is not None
    last = books.record.add(replace(RELEASE, job="job_2"))
    write_head(tmp_path / HEAD_FILE, before)
    verifier(tmp_path).verify()
    books.close()
    open_books(tmp_path).close()
    after = read_head(tmp_path / HEAD_FILE)
    assert after is not None
    assert after.hash == last.hash


def test_a_damaged_end_is_not_continued(tmp_path: Path) -> None:
    books = open_books(tmp_path)
    for number in range(3):
        books.record.add(replace(RELEASE, job=f"job_{number}"))
    cut_tail(tmp_path, 1)
    with pytest.raises(RecordDamaged):
        books.record.add(replace(RELEASE, job="job_9"))
    with pytest.raises(RecordDamaged):
        open_record(books.engine, "core", books.keys, tmp_path)
    books.close()


def test_a_store_that_was_put_back_does_not_open_beside_a_newer_head(tmp_path: Path) -> None:
    books = open_books(tmp_path)
    books.record.add(RELEASE)
    kept = books.record.add(replace(RELEASE, job="job_2"))
    head = read_head(tmp_path / HEAD_FILE)
    assert head is not None
    cut_tail(tmp_path, 1)
    sign(tmp_path, 1, kept.previous)
    with pytest.raises(RecordDamaged, match="names an entry that is not there"):
        open_record(books.engine, "core", books.keys, tmp_path)
    with pytest.raises(RecordDamaged, match="entry 2: it is missing"):
        verifier(tmp_path).verify()
    books.close()


# ---------------------------------------------------------------- reading


def test_reading_finds_by_job_time_and_decision_the_newest_first(books: SiteBooks, tmp_path: Path) -> None:
    for number in range(6):
        decision = "released" if number % 2 else "refused"
        books.record.add(replace(RELEASE, job=f"job_{number % 3}", at_ms=number, decision=decision, digest=str(number)))
    file = tmp_path / "core" / "site.db"

    def found(**wanted: object) -> list[int]:
        return [recorded.seq for recorded in read_entries(file, Wanted(**wanted))]  # type: ignore[arg-type]

    assert found() == [6, 5, 4, 3, 2, 1]
    assert found(limit=2) == [6, 5]
    assert found(job="job_1") == [5, 2]
    assert found(since_ms=3, decision="released") == [6, 4]
    assert read_entry(file, 2) == books.record.entries()[1]
    with pytest.raises(NotFound):
        read_entry(file, 7)


def test_a_site_that_never_started_has_no_record(tmp_path: Path) -> None:
    for read in (lambda: read_entries(tmp_path / "site.db", Wanted()), lambda: read_entry(tmp_path / "site.db", 1)):
        with pytest.raises(NotFound):
            read()


def test_what_the_first_schema_held_is_chained_in_its_order_and_signed_at_the_next_start(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'site.db'}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number, decision in ((3, "released"), (7, "refused")):
            connection.exec_driver_sql(
                "INSERT INTO egress VALUES (?, 5, 'fraud', 'job_1', 's1', 'result', '[\"ana\"]', 'p', '{}', '{}',"
                " '[{\"name\": \"a\", \"type\": \"INTEGER\"}]', 10, 100, 'd', ?, '', 'local', 'ana')",
                (number, decision),
            )
    engine.dispose()
    books = open_books(tmp_path)
    found = books.record.entries()
    assert [(item.seq, item.entry.decision, item.entry.principal) for item in found] == [
        (1, "released", "ana"),
        (2, "refused", "ana"),
    ]
    assert found[0].entry.columns == [("a", "public")]
    again = replace(found[0].entry, at_ms=9)
    assert books.record.add(again).seq == 1
    assert verifier(tmp_path).verify().count == 2
    books.close()
