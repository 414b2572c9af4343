"""What a site's record costs: an append beside a plain durable insert, and a million entries verified beside read."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session
from tests.benchmarks.report import headline, row, timed

from datacanal.site.record.entry import COLUMNS, STORED, Entry, hash_of, values_of
from datacanal.site.record.head import HEAD_FILE, head_text, read_head, write_head
from datacanal.site.record.verifying import Verifier
from datacanal.testing.site_books import SiteBooks, open_books

APPENDS = 500
ENTRIES = 1_000_000
WIDTHS = (44, 10)
RELEASE = Entry(
    at_ms=1_900_000_000_000,
    kind="transfer",
    decision="released",
    tenant="default",
    principal="ana",
    purpose="fraud",
    step="scan_1",
    receivers=("people",),
    plan_digest="a" * 64,
    policies={"transactions": "b" * 64},
    snapshots={"transactions.payments": "snp_" + "c" * 60},
    columns=(("account_id", "join_key"), ("year", "masked"), ("region", "public")),
    rows=10_000,
    bytes=100_000,
    digest="d" * 64,
)


def main() -> int:
    headline(f"A site's record: {APPENDS} appends (medians), {ENTRIES:,} entries")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        books = open_books(home)
        row(("plain durable insert, ms", statistics.median(_plain_inserts(home))), WIDTHS)
        alone = [timed(lambda n=n: books.record.add(_release(n)))[0] for n in range(APPENDS)]
        row(("append with its own transaction, ms", statistics.median(alone)), WIDTHS)
        row(("append inside a transaction, ms", statistics.median(_inside(books))), WIDTHS)
        _fill(books, home)
        row((f"{ENTRIES:,} entries read, s", timed(lambda: _read(home))[0] / 1000), WIDTHS)
        verifier = Verifier("core", books.keys.public, home / "site.db", home)
        elapsed_ms, head = timed(verifier.verify)
        row((f"{head.count:,} entries verified, s", elapsed_ms / 1000), WIDTHS)
        books.close()
    return 0


def _release(number: int) -> Entry:
    return replace(RELEASE, job=f"job_{number:026}")


def _plain_inserts(home: Path) -> list[float]:
    plain = sqlite3.connect(home / "plain.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        plain.execute(f"PRAGMA {pragma}")
    plain.execute("CREATE TABLE entries (content TEXT)")
    content = ("x" * 900,)
    took = [timed(lambda: plain.execute("INSERT INTO entries VALUES (?)", content))[0] for _ in range(APPENDS)]
    plain.close()
    return took


def _inside(books: SiteBooks) -> list[float]:
    with Session(books.engine) as session, session.begin():
        numbers = range(APPENDS, 2 * APPENDS)
        return [timed(lambda n=n: books.record.append(session, _release(n)))[0] for n in numbers]


def _fill(books: SiteBooks, home: Path) -> None:
    """Up to a million entries, past the book, which would take minutes; the head is signed as it would sign it."""
    head = read_head(home / HEAD_FILE)
    assert head is not None
    last = head.hash

    def chained() -> Iterator[tuple[object, ...]]:
        nonlocal last
        for seq in range(head.count + 1, ENTRIES + 1):
            values = values_of(seq, _release(seq), last)
            last = hash_of(values)
            yield *values, last

    store = sqlite3.connect(home / "site.db")
    store.execute("DROP TRIGGER record_grows")  # it looks for the end before each entry
    store.executemany(f"INSERT INTO record ({STORED}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})", chained())
    signed = replace(head, count=ENTRIES, hash=last, signature=books.keys.sign(head_text("core", ENTRIES, last)))
    store.execute(
        "UPDATE record_head SET count = ?, hash = ?, signature = ?", (signed.count, signed.hash, signed.signature)
    )
    store.commit()
    store.close()
    write_head(home / HEAD_FILE, signed)


def _read(home: Path) -> int:
    store = sqlite3.connect(home / "site.db")
    count = sum(1 for _ in store.execute(f"SELECT {STORED} FROM record NOT INDEXED ORDER BY rowid"))
    store.close()
    return count


if __name__ == "__main__":
    raise SystemExit(main())
