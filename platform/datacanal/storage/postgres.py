"""PostgreSQL, each store in a schema of its own. Everything particular to PostgreSQL is here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from datacanal.domain.errors import AlreadyRunning, BadConfiguration, StoreUnavailable
from datacanal.storage.migrating import is_migrated, migrate
from datacanal.storage.places import Place

_LOCKS = 0x6463
"""The first number of every advisory lock of ours."""
_MIGRATING, _SOLE, _WRITING, _SEALING = 1, 2, 3, 4
_SOLE_WITHIN_S = 3
_MIGRATED_WITHIN_S = 600
_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that vanished from the network is noticed, as is a client by the server (`_SESSION`)."""
_SESSION = {
    "TimeZone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# Whoever is stopped in the middle of a change keeps all others from writing.
_WRITER = {"idle_in_transaction_session_timeout": "10s"}
_READER = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable read",
    "idle_in_transaction_session_timeout": "10min",
}


def open_schema(database: str, place: Place, *, sole: bool) -> Engine:
    """The engine that writes in the place's schema, made or brought to the newest migration by whoever comes first.

    It has one connection. That of a `sole` one holds a lock, so that whoever lost the lock cannot write either.
    Raises `AlreadyRunning`, `StoreUnavailable`, and `BadConfiguration` for a database that sorts otherwise than we do.
    """
    _prepare(database, place)
    engine = _engine(database, place.schema, _WRITER, pool_size=1, max_overflow=0)
    if sole:
        event.listen(engine, "connect", _be_sole)
        _connect_first(engine)
    return engine


def check(database: str) -> None:
    """Raise `StoreUnavailable` in the database's own words, or `BadConfiguration` where it sorts otherwise."""
    engine = _engine(database, "public", _READER, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            _check_text(connection)
    except StoreUnavailable as error:
        raise _explained(error) from error.__cause__


def read_schema(database: str, schema: str) -> Engine:
    """The engine that reads in the schema, each transaction as of one moment."""
    return _engine(database, schema, _READER, pool_size=4, max_overflow=12)


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction that took its turn in this database is under way; lasts until this one's end."""
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCKS}, {_WRITING})"))


def hold_sealing(connection: Connection) -> bool:
    """Whether nobody else seals the book in this database; then nobody else does before this connection has ended."""
    held = connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCKS}, {_SEALING})"))
    connection.commit()  # the lock is the connection's; an open transaction would keep old rows from being cleaned up
    return bool(held)


def end_sealing(connection: Connection) -> None:
    """Let another seal, at once: the server notices the end of a connection a moment later."""
    connection.execute(text(f"SELECT pg_advisory_unlock({_LOCKS}, {_SEALING})"))
    connection.commit()


def is_alive(connection: Connection) -> bool:
    """Whether the connection answers. Raises `StoreUnavailable`."""
    answered = connection.scalar(text("SELECT 1"))
    connection.commit()
    return answered is not None


@contextmanager
def telling() -> Iterator[None]:
    """Around work with the driver's own cursors: its errors are raised as those of engines are, `StoreUnavailable`."""
    try:
        yield
    except psycopg.Error as error:
        if not _passes(error):
            raise
        raise StoreUnavailable(reason=_reason(error)) from error


def _engine(database: str, schema: str, settings: dict[str, str], **pool: Any) -> Engine:
    url = make_url(database)
    ours = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    engine = create_engine(
        url,
        connect_args={**ours, "options": _options({**_SESSION, **settings, "search_path": schema})},
        hide_parameters=True,  # error texts would quote SQL and its parameters into the log
        pool_pre_ping="poolclass" not in pool,
        **pool,
    )
    event.listen(engine, "handle_error", _told)
    return engine


def _options(settings: dict[str, str]) -> str:
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


def _prepare(database: str, place: Place) -> None:
    """Check the database and migrate the schema; of several who start at once one does it."""
    engine = _engine(
        database, place.schema, {"lock_timeout": f"{_MIGRATED_WITHIN_S}s", "statement_timeout": "0"}, poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            _check_text(connection)
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCKS}, {_MIGRATING})"))
            _make_schema(connection, place.schema)
            if not is_migrated(engine, place.migrations):
                migrate(engine, place.migrations)
    except StoreUnavailable as error:
        raise _explained(error) from error.__cause__


def _make_schema(connection: Connection, schema: str) -> None:
    # IF NOT EXISTS would ask for the right to make one even where it exists.
    if connection.scalar(text("SELECT to_regnamespace(:schema)"), {"schema": schema}) is None:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    connection.commit()


def _check_text(connection: Connection) -> None:
    """Ids, names and times-as-text are compared here and there: both sides must agree on what is less."""
    ours = "SELECT current_setting('server_encoding') = 'UTF8' AND 'B' < 'a' AND '_' > 'Z'"
    if not connection.scalar(text(ours)):
        reason = "the database must be made with TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' (or 'C')"
        raise BadConfiguration(file="configuration", key="control.database", reason=reason)


def _be_sole(connection: psycopg.Connection[Any], _entry: ConnectionPoolEntry) -> None:
    """The server lets go of the lock when this connection ends, however it does."""
    connection.execute(f"SET LOCAL lock_timeout = '{_SOLE_WITHIN_S}s'")
    connection.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCKS, _SOLE))
    connection.commit()


def _connect_first(engine: Engine) -> None:
    try:
        engine.connect().close()
    except StoreUnavailable as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            raise AlreadyRunning(home="this database") from None
        raise _explained(error) from error.__cause__


def _told(context: ExceptionContext) -> BaseException | None:
    error = context.original_exception
    if context.is_pre_ping or not isinstance(error, psycopg.Error):
        return None
    return StoreUnavailable(reason=_reason(error)) if _passes(error) or context.is_disconnect else None


def _passes(error: psycopg.Error) -> bool:
    """Whether nobody here did anything wrong."""
    return isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction)


def _reason(error: psycopg.Error) -> str:
    """In words that may be told to everybody."""
    match error:
        case errors.LockNotAvailable() | errors.QueryCanceled() | errors.DeadlockDetected():
            return "it is busy"
        case errors.ReadOnlySqlTransaction():
            return "it is a copy that only reads"
        case _ if (error.sqlstate or "").startswith("53"):
            return "it has no room"
    return "it does not answer"


def _explained(error: StoreUnavailable) -> StoreUnavailable:
    """For whoever starts the service: in the database's own words."""
    return StoreUnavailable(reason=" ".join(str(error.__cause__).split()))
