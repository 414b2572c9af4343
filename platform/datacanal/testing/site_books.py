"""The books of a site for tests: store, record and egress book in a folder of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from datacanal.site.keys import SiteKeys, load_keys
from datacanal.site.places import Places
from datacanal.site.record.book import RecordBook, open_record
from datacanal.site.store.database import open_database
from datacanal.site.store.egress import EgressBook
from datacanal.site.store.work import WorkStore


@dataclass(frozen=True)
class SiteBooks:
    """All of it on one database; `close` lets go of it."""

    engine: Engine
    keys: SiteKeys
    record: RecordBook
    egress: EgressBook
    work: WorkStore

    def close(self) -> None:
        self.engine.dispose()


def open_books(home: Path, site: str = "core") -> SiteBooks:
    """The books in the home of a site, as its agent opens them."""
    places = Places(home)
    places.ensure()
    if not places.database.exists():
        places.database.write_bytes(_empty_store())
    engine = open_database(places.database)
    keys = load_keys(home, os.urandom)
    record = open_record(engine, site, keys, home)
    return SiteBooks(engine, keys, record, EgressBook(engine, record), WorkStore(engine))


@cache
def _empty_store() -> bytes:
    """A migrated database: made once, as migrations take longer than most tests."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.db"
        open_database(file).dispose()
        return file.read_bytes()
