"""Whatever is changed in the book is found, and where."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.ledgers import COPY, Ledger, draft, tampering

from datacanal.domain.chain import BEGINNING, FIELDS, digest, follow
from datacanal.domain.checkpoint import Checkpoint, read_line
from datacanal.domain.usage import Amounts, Period
from datacanal.ledger import DATABASE
from datacanal.ledger.chain import stored
from datacanal.ledger.signing import PUBLIC_FILE, LedgerKey, ledger_key, read_public
from datacanal.ledger.verifying import Report, verify
from datacanal.storage.sqlite import read_database

EVENTS, SEAL_EVERY = 12, 3
CHECKPOINTS = EVENTS // SEAL_EVERY
CHECKPOINT_COLUMNS = ("number", "count", "head", "at", "previous", "key", "signature", "tenant", "principal")
EVENT_COLUMNS = (*FIELDS, "hash")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a book in which everything holds."""
    home = tmp_path_factory.mktemp("book") / "home"
    ledger = Ledger(home)
    ledger.subscribed()
    ledger.grow(EVENTS, SEAL_EVERY)
    ledger.close()
    return home


@contextmanager
def copied(sound: Path, folder: Path) -> Iterator[Path]:
    home = folder / "home"
    home.mkdir()
    for name in (DATABASE, COPY, PUBLIC_FILE, "ledger.key"):
        shutil.copy(sound / name, home)
    yield home
    shutil.rmtree(home)


class Reader:
    """A book that is only read; the first reader may be one that began before."""

    def __init__(self, home: Path, first: Connection | None = None) -> None:
        self.engine = read_database(home / DATABASE)
        self.readers = iter([first] if first else [])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with nullcontext(first) if (first := next(self.readers, None)) else self.engine.connect() as connection:
            yield connection


def examined(home: Path, first: Connection | None = None) -> Report:
    reader = Reader(home, first)
    try:
        return verify(reader, read_public(home / PUBLIC_FILE), home / COPY)
    finally:
        reader.engine.dispose()


def after(sound: Path, folder: Path, change: Callable[[sqlite3.Connection], object]) -> Report:
    """The report on a book that was changed so."""
    with copied(sound, folder) as home:
        with tampering(home) as book:
            change(book)
        return examined(home)


def lines_of(home: Path) -> list[str]:
    return (home / COPY).read_text("ascii").splitlines(keepends=True)


def test_a_book_that_holds_is_said_to_hold(sound: Path) -> None:
    report = examined(sound)
    assert report.faults == ()
    assert (report.count, report.unsealed, report.behind) == (EVENTS, 0, None)
    assert report.sealed is not None
    assert (report.sealed.number, report.sealed.head) == (CHECKPOINTS, report.head)


def test_an_empty_book_holds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    assert ledger.report().faults == ()
    assert ledger.report().head == BEGINNING
    ledger.close()


def test_what_is_not_sealed_yet_is_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    ledger.grow(5, 3)
    assert (ledger.report().count, ledger.report().unsealed) == (5, 2)
    ledger.close()


# ---------------------------------------------------------------- a thousand times


def flipped(value: object, chance: random.Random) -> object:
    """The value with one bit of it turned over; an absent one becomes a text."""
    if value is None:
        return chance.choice(["", "x"])
    if isinstance(value, int):
        return value ^ (1 << chance.randrange(62))
    content = bytearray(str(value).encode())
    if not content:
        return "x"
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def flip_event(book: sqlite3.Connection, chance: random.Random) -> int:
    return flip(book, chance, "events", "seq", chance.randint(1, EVENTS), EVENT_COLUMNS)


def flip_checkpoint(book: sqlite3.Connection, chance: random.Random) -> int:
    return flip(book, chance, "checkpoints", "number", chance.randint(1, CHECKPOINTS), CHECKPOINT_COLUMNS)


def flip(
    book: sqlite3.Connection, chance: random.Random, table: str, key: str, number: int, columns: tuple[str, ...]
) -> int:
    while True:
        column = chance.choice(columns)
        (value,) = book.execute(f'SELECT "{column}" FROM {table} WHERE {key} = ?', (number,)).fetchone()
        new = flipped(value, chance)
        text = "CAST(? AS TEXT)" if isinstance(new, bytes) else "?"
        try:
            book.execute(f'UPDATE {table} SET "{column}" = {text} WHERE {key} = ?', (new, number))
        except sqlite3.IntegrityError:  # what is unique cannot become what another row has
            continue
        return number


def remove_event(book: sqlite3.Connection, chance: random.Random) -> int:
    seq = chance.randint(1, EVENTS)
    book.execute("DELETE FROM events WHERE seq = ?", (seq,))
    return seq


def swap_events(book: sqlite3.Connection, chance: random.Random) -> int:
    one, other = sorted(chance.sample(range(1, EVENTS + 1), 2))
    for old, new in ((one, -1), (other, one), (-1, other)):
        book.execute("UPDATE events SET seq = ? WHERE seq = ?", (new, old))
    return one


def insert_event(book: sqlite3.Connection, chance: random.Random) -> int:
    """An event of its own content, chained to the one before, and those after it moved on.

    It is told by itself, where a checkpoint ends with it, else by the one after it, which follows from another.
    """
    seq = chance.randint(1, EVENTS)
    book.execute("UPDATE events SET seq = -seq WHERE seq >= ?", (seq,))
    book.execute("UPDATE events SET seq = 1 - seq WHERE seq < 0")
    names = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
    row = list(book.execute(f"SELECT {names} FROM events WHERE seq <> ?", (seq,)).fetchone())  # our names
    before = book.execute("SELECT hash FROM events WHERE seq = ?", (seq - 1,)).fetchone()
    row[0], row[1], row[FIELDS.index("request_id")] = seq, "rcp_new", "req:new"
    row[-1] = follow(before[0] if before else BEGINNING, digest(stored(row[:-1])))
    book.execute(f"INSERT INTO events ({names}) VALUES ({', '.join('?' * len(row))})", row)  # our names
    return seq if seq % SEAL_EVERY == 0 else seq + 1


def cut_tail(book: sqlite3.Connection, chance: random.Random) -> int:
    """The newest events and their checkpoints, with the note of the book's end put right."""
    left = chance.randrange(EVENTS)
    book.execute("DELETE FROM events WHERE seq > ?", (left,))
    book.execute("DELETE FROM checkpoints WHERE count > ?", (left,))
    last = book.execute("SELECT hash FROM events WHERE seq = ?", (left,)).fetchone()
    book.execute("UPDATE book SET seq = ?, head = ?", (left, last[0] if last else BEGINNING))
    return left + 1


def rewrite(book: sqlite3.Connection, chance: random.Random) -> int:
    """Change an event and compute every hash after it anew."""
    seq = chance.randint(1, EVENTS)
    book.execute("UPDATE events SET rows = rows + 1 WHERE seq = ?", (seq,))
    head = BEGINNING
    names = ", ".join(f'"{name}"' for name in FIELDS)
    for row in book.execute(f"SELECT {names} FROM events ORDER BY seq").fetchall():  # our names
        head = follow(head, digest(stored(row)))
        book.execute("UPDATE events SET hash = ? WHERE seq = ?", (head, row[0]))
    book.execute("UPDATE book SET head = ?", (head,))
    return seq


def remove_checkpoint(book: sqlite3.Connection, chance: random.Random) -> int:
    number = chance.randint(1, CHECKPOINTS)
    book.execute("DELETE FROM checkpoints WHERE number = ?", (number,))
    return number


def swap_checkpoints(book: sqlite3.Connection, chance: random.Random) -> int:
    one, other = sorted(chance.sample(range(1, CHECKPOINTS + 1), 2))
    for old, new in ((one, -1), (other, one), (-1, other)):
        book.execute("UPDATE checkpoints SET number = ? WHERE number = ?", (new, old))
    return one


EVENT_CHANGES = (flip_event, remove_event, swap_events, insert_event, cut_tail, rewrite)
CHECKPOINT_CHANGES = (flip_checkpoint, remove_checkpoint, swap_checkpoints)


@pytest.mark.parametrize("part", range(10))
def test_whatever_is_changed_in_the_book_is_found_and_located(sound: Path, tmp_path: Path, part: int) -> None:
    chance = random.Random(part)
    for _ in range(80):
        change = chance.choice((*[flip_event, flip_checkpoint] * 3, *EVENT_CHANGES, *CHECKPOINT_CHANGES))
        changed: list[int] = []
        report = after(sound, tmp_path, lambda book: changed.append(change(book, chance)))  # noqa: B023  # called at once
        what = "event" if change in EVENT_CHANGES else "checkpoint"
        found = [fault for fault in report.faults if fault.what == what]
        assert found, (part, change.__name__, changed)
        assert found[0].first <= changed[0] <= found[0].last, (part, change.__name__, changed, found)


@pytest.mark.parametrize("part", range(4))
def test_whatever_is_changed_in_the_copy_is_found_and_located(sound: Path, tmp_path: Path, part: int) -> None:
    chance = random.Random(part)
    for _ in range(50):
        with copied(sound, tmp_path) as home:
            lines = lines_of(home)
            place = chance.randrange(CHECKPOINTS)
            match chance.choice(("flip", "flip", "flip", "remove", "swap", "insert", "cut")):
                case "flip":
                    content = bytearray(lines[place].encode())
                    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
                    lines[place] = content.decode("latin-1")
                case "remove":
                    del lines[place]
                case "swap":
                    place = chance.randrange(CHECKPOINTS - 1)
                    lines[place], lines[place + 1] = lines[place + 1], lines[place]
                case "insert":
                    lines.insert(place, lines[place - 1])
                case "cut":
                    del lines[place:]
            (home / COPY).write_bytes("".join(lines).encode("latin-1"))
            report = examined(home)
        found = [fault.first for fault in report.faults] or [report.behind]
        assert found == [place + 1]


# ---------------------------------------------------------------- one by one


def test_events_that_were_sealed_and_cut_are_named(sound: Path, tmp_path: Path) -> None:
    class Chosen(random.Random):
        def randrange(self, *_: object) -> int:
            return 7

    report = after(sound, tmp_path, lambda book: cut_tail(book, Chosen()))
    assert [(fault.what, fault.first, fault.last) for fault in report.faults] == [("event", 8, 9), ("checkpoint", 3, 3)]
    assert report.faults[0].reason == "the events from 8 on are missing: checkpoint 3 counts 9"


def test_an_event_that_was_changed_with_all_hashes_after_it_lies_between_two_checkpoints(
    sound: Path, tmp_path: Path
) -> None:
    class Chosen(random.Random):
        def randint(self, *_: object) -> int:
            return 5

    [fault] = after(sound, tmp_path, lambda book: rewrite(book, Chosen())).faults
    assert (fault.first, fault.last) == (4, 6)
    assert "checkpoint 2 was signed over others" in fault.reason


def test_an_event_put_at_the_end_is_told_by_the_note_of_the_end(sound: Path, tmp_path: Path) -> None:
    def add(book: sqlite3.Connection) -> None:
        names = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
        row = list(book.execute(f"SELECT {names} FROM events WHERE seq = {EVENTS}").fetchone())  # ours
        row[0], row[1], row[FIELDS.index("request_id")] = EVENTS + 1, "rcp_new", "req:new"
        row[-1] = follow(row[-1], digest(stored(row[:-1])))
        book.execute(f"INSERT INTO events ({names}) VALUES ({', '.join('?' * len(row))})", row)  # ours

    [fault] = after(sound, tmp_path, add).faults
    assert (fault.what, fault.first) == ("book", EVENTS + 1)


def test_all_that_another_key_signed_is_refused(sound: Path, tmp_path: Path) -> None:
    with copied(sound, tmp_path) as home:
        (home / "ledger.key").unlink()
        (home / PUBLIC_FILE).unlink()
        other: LedgerKey = ledger_key(home)
        assert other.public != ledger_key(sound).public
        [fault] = examined(home).faults
    assert (fault.what, fault.first) == ("checkpoint", 1)


@pytest.mark.parametrize("missing", ["the whole copy", "two lines"])
def test_a_copy_that_lacks_more_than_a_crash_leaves_is_a_fault(sound: Path, tmp_path: Path, missing: str) -> None:
    with copied(sound, tmp_path) as home:
        kept = lines_of(home)[: 0 if missing == "the whole copy" else -2]
        (home / COPY).unlink() if not kept else (home / COPY).write_text("".join(kept))
        [fault] = examined(home).faults
    assert (fault.what, fault.first) == ("checkpoint", len(kept) + 1)


@pytest.mark.parametrize("torn", [1, 100])
def test_a_copy_that_a_crash_left_one_line_behind_is_told_and_no_fault(sound: Path, tmp_path: Path, torn: int) -> None:
    with copied(sound, tmp_path) as home:
        (home / COPY).write_bytes((home / COPY).read_bytes()[:-torn])
        report = examined(home)
    assert (report.faults, report.behind) == ((), CHECKPOINTS)


def test_what_is_sealed_while_the_book_is_read_is_no_fault(sound: Path, tmp_path: Path) -> None:
    with copied(sound, tmp_path) as home:
        ledger = Ledger(home)
        with ledger.store.reading() as before:
            before.exec_driver_sql("SELECT count(*) FROM checkpoints").all()
            ledger.add(draft(90))
            ledger.sequencer.seal()
            report = examined(home, before)
        assert (report.count, report.faults) == (EVENTS, ())
        assert ledger.report().count == EVENTS + 1
        ledger.close()


def test_a_value_of_another_type_is_found(sound: Path, tmp_path: Path) -> None:
    report = after(sound, tmp_path, lambda book: book.execute("UPDATE events SET id = X'00' WHERE seq = 3"))
    assert report.faults[0].first == 3
    report = after(sound, tmp_path, lambda book: book.execute("UPDATE events SET at = X'00' WHERE seq = 4"))
    assert report.faults[0].first == 4
    blob = "UPDATE checkpoints SET head = CAST(head AS BLOB) WHERE number = 3"
    assert after(sound, tmp_path, lambda book: book.execute(blob)).faults[0].first == 3


# ---------------------------------------------------------------- meters


def test_meters_that_say_what_events_and_holds_come_to_hold(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    ledger.subscribed()
    ledger.add(draft(1), draft(2), draft(3, subscription_id=None))
    ledger.hold(4, Amounts(1, 500, 100, 5))
    for period in Period:
        ledger.meter("rows", period, 30, 500)
    ledger.meter("calls", Period.DAY, 2, 1)
    assert ledger.report().faults == ()
    ledger.close()


def test_a_meter_that_says_something_else_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    ledger.subscribed()
    ledger.add(draft(1))
    ledger.meter("rows", Period.DAY, 9)
    [fault] = ledger.report().faults
    assert fault.what == "meter"
    assert fault.reason == (
        "the meter of subscription sub_1, rows of the day from 2026-11-23T00:00:00.000000+00:00, says 9 used and 0 "
        "held; events and holds come to 10 and 0"
    )
    ledger.close()


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize(
    "line", ["", "\n", "[]\n", "{}\n", "{" * 100_000, '{"number":true}\n', '{"number":1e999}\n', "nonsense\n"]
)
def test_what_is_no_line_of_the_copy_is_none(line: str) -> None:
    assert read_line(line) is None


def test_a_line_is_read_in_the_form_that_it_is_written_in_alone() -> None:
    checkpoint = Checkpoint(1, 2, "a", "b", "c", "d", "e")
    assert read_line(checkpoint.line) == checkpoint
    assert read_line(checkpoint.line.replace(":", ": ")) is None
    assert read_line(checkpoint.line.replace('"e"', '"e","x":1')) is None
