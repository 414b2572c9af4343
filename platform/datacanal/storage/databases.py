"""Open a store on the database that the configuration names; the only place that knows that there are two kinds."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from datacanal.storage import postgres, sqlite
from datacanal.storage.places import EMBEDDED, Place


def open_to_write(database: str, home: Path, place: Place, *, begin: sqlite.Begin, sole: bool = False) -> Engine:
    """An engine that writes, on the newest schema. `sole`: no other such engine anywhere, for as long as this one is.

    The embedded database relies on the home's lock for that. Raises `AlreadyRunning`, `StoreUnavailable`.
    """
    if database == EMBEDDED:
        return sqlite.open_database(home / place.file, place.migrations, begin=begin)
    return postgres.open_schema(database, place, sole=sole)


def check_database(database: str) -> None:
    """Raise `StoreUnavailable` or `BadConfiguration` unless stores can be kept there; nothing is made."""
    if database != EMBEDDED:
        postgres.check(database)


def open_to_read(database: str, home: Path, place: Place) -> Engine:
    """An engine that only reads, each transaction as of one moment; nothing is made, and nobody is asked yet."""
    if database == EMBEDDED:
        return sqlite.read_database(home / place.file)
    return postgres.read_schema(database, place.schema)
