"""The record as it is read at the site's machine, beside a running agent or without one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from datacanal.domain.errors import NotFound
from datacanal.site.record.entry import STORED, Recorded, recorded_from


@dataclass(frozen=True)
class Wanted:
    """Which entries: the newest `limit` of those that fit all that is given."""

    job: str | None = None
    since_ms: int | None = None
    decision: str | None = None
    limit: int = 50


@contextmanager
def opened_store(file: Path) -> Iterator[sqlite3.Connection]:
    """A site's store, for reading only: one state of it, whatever its agent writes meanwhile.

    Raises `NotFound`, and `sqlite3.DatabaseError` where it is damaged.
    """
    if not os.access(file, os.R_OK):
        raise NotFound(what="site's store that this user may read", name=str(file))
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()


def read_entries(file: Path, wanted: Wanted) -> Sequence[Recorded]:
    """The newest first."""
    asked = {"job = ?": wanted.job, "at_ms >= ?": wanted.since_ms, "decision = ?": wanted.decision}
    conditions = {condition: value for condition, value in asked.items() if value is not None}
    where = " AND ".join(conditions) or "true"
    with opened_store(file) as store:
        rows = store.execute(
            f"SELECT {STORED} FROM record WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608  # words of this module
            (*conditions.values(), wanted.limit),
        )
        return [recorded_from(row[:-1], row[-1]) for row in rows]


def read_entry(file: Path, seq: int) -> Recorded:
    """The entry of that number. Raises `NotFound`."""
    with opened_store(file) as store:
        row = store.execute(f"SELECT {STORED} FROM record WHERE seq = ?", (seq,)).fetchone()  # noqa: S608  # as above
    if row is None:
        raise NotFound(what="entry of the record", name=str(seq))
    return recorded_from(row[:-1], row[-1])
