"""The embedded database: SQLite in WAL mode, durable at every commit. Everything particular to SQLite is here."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Literal
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from datacanal.storage.migrating import migrate

Begin = Literal["BEGIN", "BEGIN IMMEDIATE"]
"""`BEGIN IMMEDIATE` also keeps two transactions from reading what both mean to write."""
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "temp_store=MEMORY",
    "wal_autocheckpoint=4000",  # whoever commits then copies the log (16 MiB) into the database
    "recursive_triggers=ON",  # what a trigger keeps from being deleted cannot be replaced either
)


def open_database(file: Path, migrations: Path, *, begin: Begin) -> Engine:
    """The engine on a database that only its owner may read, made or brought to the newest schema.

    One process writes; readers never wait for it.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # error texts would quote SQL and its parameters into the log
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: _begin(connection, begin))
    migrate(engine, migrations)
    return engine


def read_database(file: Path) -> Engine:
    """The engine on a database that another process keeps; nothing can be written, and nothing is made or migrated."""
    engine = create_engine(
        f"sqlite:///file:{quote(str(file))}?mode=rw&uri=true",  # a reader, too, writes in the index of the WAL
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_reader)
    event.listen(engine, "begin", lambda connection: _begin(connection, "BEGIN"))
    return engine


def _prepare_reader(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in ("query_only=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins too late and commits around DDL; ours is explicit.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection, begin: Begin) -> None:
    connection.exec_driver_sql(begin)
