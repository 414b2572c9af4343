"""Whatever is done to a record is found: every field, every byte of an entry, every order, every end."""

import base64
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.site.record.tampering import RELEASE, cut_tail, sign, store, verifier

from datacanal.domain.errors import RecordDamaged
from datacanal.site.keys import load_keys
from datacanal.site.record.entry import BEGINNING, COLUMNS, hash_of, values_of
from datacanal.site.record.head import HEAD_FILE, Head, head_text, read_head, write_head
from datacanal.site.record.reading import read_entry
from datacanal.site.record.verifying import Verifier
from datacanal.testing.site_books import open_books

COUNT = 12
HASHED_TEXTS = [name for name in COLUMNS if isinstance(values_of(1, RELEASE, BEGINNING)[COLUMNS.index(name)], str)]
HASHED_NUMBERS = [name for name in COLUMNS if name not in (*HASHED_TEXTS, "purpose")]


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
