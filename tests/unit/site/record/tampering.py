"""What tests do to a record that they made, and how they look whether it is found."""

import sqlite3
from pathlib import Path

from datacanal.site.keys import load_keys
from datacanal.site.record.entry import Entry
from datacanal.site.record.head import head_text
from datacanal.site.record.verifying import Verifier

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


def verifier(home: Path) -> Verifier:
    return Verifier("core", load_keys(home, bytes).public, home / "site.db", home)


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
