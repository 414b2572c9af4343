"""The site's store on disk: SQLite in WAL mode, durable at every commit, migrated when it is opened."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def open_database(file: Path) -> Engine:
    """The engine on a migrated database that only its owner may read."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    engine = create_engine(URL.create("sqlite", database=str(file)), connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    _migrate(engine)
    return engine


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins too late for budgets; ours is explicit.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    # Immediate: two releases that read the same budget must not both find room in it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
