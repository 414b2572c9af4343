"""The record: every decision once, in one chain; whatever is done to it afterwards is found."""

import base64
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from datacanal.domain.errors import NotFound, RecordDamaged
from datacanal.site.keys import load_keys
from datacanal.site.record.book import open_record
from datacanal.site.record.entry import BEGINNING, COLUMNS, Entry, hash_of, values_of
from datacanal.site.record.head import HEAD_FILE, Head, head_text, read_head, write_head
from datacanal.site.record.notes import note_of
from datacanal.site.record.reading import Wanted, read_entries, read_entry
from datacanal.site.record.verifying import Verifier
from datacanal.site.store.database import MIGRATIONS
from datacanal.testing.site_books import SiteBooks, open_books

COUNT = 12
RELEASE = Entry(
    at_ms=1_900_000_000_000,
    kind="transfer",
    decision="released",
    tenant="local",
    principal="Žofie 🦊",
    purpose="fraud",
    job="job_1",
    step="s1",
    fence=1,
    receivers=("west",),
    plan_digest="p" * 64,
    policies={"t": "d" * 64},
    snapshots={"t.payments": "snp_1"},
    columns=(("a", "public"), ("k", "join_key")),
    rows=1234,
    bytes=9000,
    digest="r" * 64,
    withheld_groups=3,
    governed=True,
)
HASHED_TEXTS = [name for name in COLUMNS if isinstance(values_of(1, RELEASE, BEGINNING)[COLUMNS.index(name)], str)]
HASHED_NUMBERS = [name for name in COLUMNS if name not in (*HASHED_TEXTS, "purpose")]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path / "core")
    yield opened
    opened.close()


def verifier(home: Path) -> Verifier:
    return Verifier("core", load_keys(home, bytes).public, home / "site.db", home)


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


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of some entries, closed, with nothing left in its log."""
    home = tmp_path_factory.mktemp("intact")
    books = open_books(home)
    for number in range(COUNT):
        books.record.add(replace(RELEASE, job=f"job_{number}", at_ms=number))
    books.close()
    store(home).close()
    return home


@pytest.fixture(scope="module")
def damaged(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A fresh copy of it, to be damaged."""
    home = tmp_path_factory.mktemp("damaged")

    def copied() -> Path:
        for file in intact.iterdir():
            if file.is_file():
                shutil.copy(file, home)
        (home / "site.db-wal").unlink(missing_ok=True)
        return home

    return copied


def store(home: Path) -> sqlite3.Connection:
    """As somebody opens it who does not care for triggers."""
    connection = sqlite3.connect(home / "site.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return connection


def cut_tail(home: Path, entries: int) -> None:
    connection = store(home)
    connection.execute("DELETE FROM record WHERE seq > (SELECT max(seq) FROM record) - ?", (entries,))
    connection.close()


def sign(home: Path, count: int, last_hash: str) -> None:
    """The store's head as the site itself signed it when that was its end."""
    signature = load_keys(home, bytes).sign(head_text("core", count, last_hash))
    connection = store(home)
    connection.execute("UPDATE record_head SET count = ?, hash = ?, signature = ?", (count, last_hash, signature))
    connection.close()


def is_found(home: Path, seq: int | None = None) -> bool:
    try:
        verifier(home).verify()
    except RecordDamaged as damage:
        return seq is None or damage.data["seq"] == seq
    return False


def test_an_intact_record_holds(damaged: Callable[[], Path]) -> None:
    assert verifier(damaged()).verify().count == COUNT


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_bit_of_any_field_of_any_entry_is_found(damaged: Callable[[], Path], data: st.DataObject) -> None:
    home = damaged()
    connection = store(home)
    seq = data.draw(st.integers(1, COUNT))
    name = data.draw(st.sampled_from([*HASHED_TEXTS, *HASHED_NUMBERS, "hash"]))
    (value,) = connection.execute(f'SELECT "{name}" FROM record WHERE seq = ?', (seq,)).fetchone()
    if isinstance(value, int):
        changed: object = value ^ 1 << data.draw(st.integers(0, 40))
    else:
        content = bytearray(value.encode() or b"\0")
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        changed = bytes(content)
    target = f'"{name}" = ' + ("?" if isinstance(value, int) else "CAST(? AS TEXT)")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(f"UPDATE OR REPLACE record SET {target} WHERE seq = ?", (changed, seq))
    connection.close()
    assert is_found(home)


@settings(max_examples=60, deadline=None)
@given(seq=st.integers(1, COUNT), share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_of_the_file_s_own_bytes_is_found(
    intact: Path, damaged: Callable[[], Path], seq: int, share: float, bit: int
) -> None:
    home = damaged()
    recorded = read_entry(intact / "site.db", seq)
    texts = [value for value in values_of(seq, recorded.entry, recorded.previous) if isinstance(value, str)]
    owner = "local" + RELEASE.principal  # stored behind the hash, which the next entry's `previous` has no owner behind
    content = bytearray((home / "site.db").read_bytes())
    end = content.index((recorded.hash + owner).encode()) + len((recorded.hash + owner).encode())
    length = sum(len(text.encode()) for text in texts) + len(recorded.hash)
    content[end - length + int(share * length)] ^= 1 << bit
    (home / "site.db").write_bytes(content)
    assert is_found(home)


@settings(max_examples=40, deadline=None)
@given(seq=st.integers(1, COUNT), renumber=st.booleans())
def test_a_removed_entry_is_found(damaged: Callable[[], Path], seq: int, renumber: bool) -> None:
    home = damaged()
    connection = store(home)
    connection.execute("DELETE FROM record WHERE seq = ?", (seq,))
    if renumber:
        connection.execute("UPDATE record SET seq = -seq WHERE seq > ?", (seq,))
        connection.execute("UPDATE record SET seq = -seq - 1 WHERE seq < 0")
    connection.close()
    assert is_found(home, seq)


@settings(max_examples=40, deadline=None)
@given(pair=st.lists(st.integers(1, COUNT), min_size=2, max_size=2, unique=True))
def test_two_swapped_entries_are_found_at_the_first(damaged: Callable[[], Path], pair: list[int]) -> None:
    home = damaged()
    connection = store(home)
    for before, after in ((pair[0], -1), (pair[1], pair[0]), (-1, pair[1])):
        connection.execute("UPDATE record SET seq = ? WHERE seq = ?", (after, before))
    connection.close()
    assert is_found(home, min(pair))


def rechained(connection: sqlite3.Connection) -> tuple[int, str]:
    """All hashes made right again, as anybody can who has no key."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    count, previous = 0, BEGINNING
    for row in connection.execute(f"SELECT {names} FROM record ORDER BY seq").fetchall():
        count, values = count + 1, (*row[:-1], previous)
        previous = hash_of(values)
        connection.execute("UPDATE record SET previous = ?, hash = ? WHERE seq = ?", (values[-1], previous, row[0]))
    return count, previous


@settings(max_examples=30, deadline=None)
@given(seq=st.integers(1, COUNT + 1), keeps_head=st.booleans())
def test_an_inserted_entry_is_found_though_every_hash_is_right(
    damaged: Callable[[], Path], seq: int, keeps_head: bool
) -> None:
    home = damaged()
    connection = store(home)
    connection.execute("UPDATE record SET seq = -seq WHERE seq >= ?", (seq,))
    connection.execute("UPDATE record SET seq = 1 - seq WHERE seq < 0")
    values = values_of(seq, replace(RELEASE, job="forged"), "")
    marks = ", ".join("?" * (len(values) + 1))
    connection.execute(f"INSERT INTO record ({', '.join(COLUMNS)}, hash) VALUES ({marks})", (*values, ""))
    count, last = rechained(connection)
    if not keeps_head:
        connection.execute("UPDATE record_head SET count = ?, hash = ?", (count, last))
    connection.close()
    assert is_found(home)


@settings(max_examples=30, deadline=None)
@given(entries=st.integers(1, COUNT), head=st.sampled_from(["kept", "rewritten", "of then"]))
def test_a_cut_tail_is_found(damaged: Callable[[], Path], entries: int, head: str) -> None:
    home = damaged()
    cut_tail(home, entries)
    connection = store(home)
    count, last = rechained(connection)
    if head == "rewritten":
        connection.execute("UPDATE record_head SET count = ?, hash = ?", (count, last))
    connection.close()
    if head == "of then":
        sign(home, count, last)
    assert is_found(home)


def other_key(home: Path) -> Head:
    head = read_head(home / HEAD_FILE)
    assert head is not None
    other = load_keys(home / "other", lambda size: b"o" * size)
    return replace(head, signature=other.sign(head_text("core", head.count, head.hash)))


def flipped(home: Path) -> Head:
    head = read_head(home / HEAD_FILE)
    assert head is not None
    signature = bytearray(base64.b64decode(head.signature))
    signature[7] ^= 1
    return replace(head, signature=base64.b64encode(signature).decode())


@pytest.mark.parametrize("forged", [other_key, flipped])
def test_a_head_that_the_site_did_not_sign_is_found(
    damaged: Callable[[], Path], forged: Callable[[Path], Head]
) -> None:
    home = damaged()
    head = forged(home)
    connection = store(home)
    connection.execute("UPDATE record_head SET signature = ?", (head.signature,))
    connection.close()
    assert is_found(home, COUNT)
    home = damaged()
    write_head(home / HEAD_FILE, head)
    assert is_found(home, COUNT)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"count": 1}', b'{"count": "x", "hash": 1}', b"\xff"])
def test_nonsense_in_the_head_s_file_is_found(damaged: Callable[[], Path], content: bytes) -> None:
    home = damaged()
    (home / HEAD_FILE).write_bytes(content)
    assert is_found(home)
    with pytest.raises(RecordDamaged):
        open_books(home)


def test_a_missing_head_is_found_in_file_and_store(damaged: Callable[[], Path]) -> None:
    home = damaged()
    (home / HEAD_FILE).unlink()
    assert is_found(home)
    home = damaged()
    connection = store(home)
    connection.execute("DELETE FROM record_head")
    connection.close()
    assert is_found(home)


@pytest.mark.parametrize("value", ["x'00ff'", "NULL", "1.5", "'text'"])
def test_a_value_of_another_type_is_found(damaged: Callable[[], Path], value: str) -> None:
    home = damaged()
    connection = store(home)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'record'")
    connection.close()
    connection = store(home)
    connection.execute(f"UPDATE record SET rows = {value} WHERE seq = 3")
    connection.close()
    assert is_found(home, 3)


def test_a_head_of_another_site_is_not_this_site_s(damaged: Callable[[], Path]) -> None:
    home = damaged()
    keys = load_keys(home, bytes)
    with pytest.raises(RecordDamaged):
        Verifier("west", keys.public, home / "site.db", home).verify()


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
