"""What the ledger costs: events appended and sealed beside plain durable inserts, a million verified beside read."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import update
from tests.benchmarks.report import headline, row, timed
from tests.ledgers import Ledger, draft

from datacanal.domain.chain import FIELDS, digest, follow
from datacanal.ledger import DATABASE
from datacanal.ledger.chain import stored
from datacanal.ledger.models import BookRow

EVENTS = 1_000_000
APPENDED, BATCH = 20_000, 50
"""How many events are appended in transactions of how many."""
WIDTHS = (52, 10)
_COLUMNS = (*FIELDS, "hash")
_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)
_PLACES = ", ".join("?" * len(_COLUMNS))


def main() -> int:
    headline(f"The ledger: {APPENDED:,} events in transactions of {BATCH}, {EVENTS:,} verified")
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "home")
        file = Path(folder) / "home" / DATABASE
        row(("plain durable inserts, events/s", _rate(lambda: _plain_inserts(Path(folder)))), WIDTHS)
        row(("appended to the book, events/s", _rate(lambda: _appended(ledger))), WIDTHS)
        _fill(ledger, file)
        row(("sealed, s", timed(lambda: _sealed(ledger))[0] / 1000), WIDTHS)
        row((f"{EVENTS:,} rows read by sqlite3, s", timed(lambda: _read(file))[0] / 1000), WIDTHS)
        row((f"{EVENTS:,} rows read and hashed whole, s", timed(lambda: _hashed(file))[0] / 1000), WIDTHS)
        elapsed_ms, report = timed(ledger.report)
        assert (report.count, report.unsealed, report.faults) == (EVENTS, 0, ())
        row((f"{EVENTS:,} events verified, s", elapsed_ms / 1000), WIDTHS)
        ledger.close()
    return 0


def _rate(work: Callable[[], object]) -> float:
    return APPENDED / timed(work)[0] * 1000


def _plain_inserts(folder: Path) -> None:
    """Rows of the same width, in the same number of durable transactions."""
    plain = sqlite3.connect(folder / "plain.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        plain.execute(f"PRAGMA {pragma}")
    plain.execute(f"CREATE TABLE events ({_NAMES})")
    for start in range(0, APPENDED, BATCH):
        plain.execute("BEGIN")
        plain.executemany(f"INSERT INTO events VALUES ({_PLACES})", [_row(start + n, "0" * 64) for n in range(BATCH)])
        plain.execute("COMMIT")
    plain.close()


def _appended(ledger: Ledger) -> None:
    for start in range(1, APPENDED, BATCH):
        ledger.add(*(replace(draft(start + n), subscription_id=None) for n in range(BATCH)))


def _fill(ledger: Ledger, file: Path) -> None:
    """Up to a million events, past the book, which would take minutes; chained as it would chain them."""
    store = sqlite3.connect(file)
    (last,) = store.execute("SELECT hash FROM events WHERE seq = ?", (APPENDED,)).fetchone()

    def chained() -> Iterator[tuple[object, ...]]:
        nonlocal last
        for seq in range(APPENDED + 1, EVENTS + 1):
            values = _row(seq, "")[:-1]
            last = follow(last, digest(stored(values)))
            yield *values, last

    store.executemany(f"INSERT INTO events ({_NAMES}) VALUES ({_PLACES})", chained())
    store.commit()
    store.close()
    end = {"seq": EVENTS, "head": last, "at": datetime(2026, 12, 31, tzinfo=UTC)}
    with ledger.store.writing() as connection:
        connection.execute(update(BookRow).values(**end))


def _row(number: int, own: str) -> tuple[object, ...]:
    event = replace(draft(number), subscription_id=None)
    at = "2026-12-31 00:00:00.000000"
    known = {"seq": number, "at": at, "reserved_at": at, "kind": "usage", "outcome": "complete", "hash": own}
    return tuple(known[name] if name in known else getattr(event, name) for name in _COLUMNS)


def _sealed(ledger: Ledger) -> None:
    while ledger.sequencer.seal() is not None:
        pass


def _read(file: Path) -> int:
    store = sqlite3.connect(file)
    count = sum(1 for _ in store.execute(f"SELECT {_NAMES} FROM events ORDER BY seq"))
    store.close()
    return count


def _hashed(file: Path) -> str:
    """One hash over the text of every row: the least that any proof must do."""
    store, whole = sqlite3.connect(file), hashlib.sha256()
    for each in store.execute(f"SELECT {_NAMES} FROM events ORDER BY seq"):
        whole.update(repr(each).encode())
    store.close()
    return whole.hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
