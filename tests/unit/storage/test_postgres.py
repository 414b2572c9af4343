"""PostgreSQL as a store: migrated once, one control plane, told apart when it is away, and back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError
from tests.plugins.postgres import PostgresServer

from datacanal import ledger, state
from datacanal.domain.errors import AlreadyRunning, BadConfiguration, StoreUnavailable
from datacanal.ledger.models import TABLES as OF_LEDGER
from datacanal.state.tables import TABLES as OF_STATE
from datacanal.storage.databases import open_to_read, open_to_write
from datacanal.storage.places import Place

pytestmark = pytest.mark.postgres
STORES = pytest.mark.parametrize(
    ("place", "tables"), [(state.PLACE, OF_STATE), (ledger.PLACE, OF_LEDGER)], ids=["state", "ledger"]
)
SLEEPERS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"


@pytest.fixture
def new_database(postgres: PostgresServer) -> Iterator[str]:
    """A database without any schema of ours."""
    postgres.run("CREATE DATABASE brand_new")
    yield postgres.url("brand_new")
    postgres.run("DROP DATABASE brand_new WITH (FORCE)")


def opened(database: str, place: Place = ledger.PLACE, *, sole: bool = False) -> Engine:
    return open_to_write(database, Path(), place, begin="BEGIN", sole=sole)


@STORES
def test_the_migrations_make_what_the_models_say(postgres_database: str, place: Place, tables: MetaData) -> None:
    engine = opened(postgres_database, place)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables) == []
        assert inspect(connection).get_check_constraints("events" if place is ledger.PLACE else "jobs")
    engine.dispose()


def test_both_stores_have_a_schema_of_their_own(new_database: str) -> None:
    for place in (state.PLACE, ledger.PLACE):
        opened(new_database, place).dispose()
    engine = opened(new_database)
    assert {"state", "ledger"} <= set(inspect(engine).get_schema_names())
    assert inspect(engine).get_table_names("public") == []
    engine.dispose()


def test_of_many_that_start_at_once_one_migrates(new_database: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        for engine in threads.map(lambda _: opened(new_database), range(6)):
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
            engine.dispose()


def test_a_session_is_in_utc_whatever_the_server_says(postgres_database: str) -> None:
    engine = opened(postgres_database)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW TimeZone")) == "UTC"
    engine.dispose()


OTHERWISE = ("ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", "ENCODING 'LATIN1' LOCALE 'C'")


@pytest.mark.parametrize("made", OTHERWISE)
def test_a_database_that_sorts_otherwise_is_refused(postgres: PostgresServer, made: str) -> None:
    postgres.run(f"CREATE DATABASE other TEMPLATE template0 {made}")
    with pytest.raises(BadConfiguration, match="ENCODING 'UTF8' LOCALE"):
        opened(postgres.url("other"))
    postgres.run("DROP DATABASE other WITH (FORCE)")


def test_one_control_plane_has_a_database(postgres_database: str) -> None:
    first = opened(postgres_database, state.PLACE, sole=True)
    with pytest.raises(AlreadyRunning, match="this database"):
        opened(postgres_database, state.PLACE, sole=True)
    first.dispose()
    opened(postgres_database, state.PLACE, sole=True).dispose()


def test_whoever_lost_the_lock_cannot_write(postgres: PostgresServer, postgres_database: str) -> None:
    first = opened(postgres_database, state.PLACE, sole=True)
    _end_sessions(postgres, postgres_database)
    second = opened(postgres_database, state.PLACE, sole=True)
    with pytest.raises(StoreUnavailable, match="busy"), first.connect():
        pass
    second.dispose()
    with first.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    first.dispose()


def test_a_database_that_is_away_is_told_and_comes_back(postgres: PostgresServer, postgres_database: str) -> None:
    writer, reader = opened(postgres_database), open_to_read(postgres_database, Path(), ledger.PLACE)
    seen = text("SELECT seq FROM book")
    for engine in (writer, reader):
        with engine.connect() as connection:
            connection.execute(seen)
    postgres.kill()
    for engine in (writer, reader):
        with pytest.raises(StoreUnavailable, match="does not answer"), engine.connect() as connection:
            connection.execute(seen)
    postgres.start()
    for engine in (writer, reader):
        with engine.connect() as connection:
            assert connection.scalar(seen) == 0
        engine.dispose()


def test_a_statement_that_is_cut_off_is_told(postgres: PostgresServer, postgres_database: str) -> None:
    engine = opened(postgres_database)
    with engine.connect() as connection, ThreadPoolExecutor(1) as thread:
        asked = thread.submit(connection.execute, text("SELECT pg_sleep(60)"))
        while postgres.run(SLEEPERS) == [(0,)]:
            pass
        _end_sessions(postgres, postgres_database)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            asked.result()
    engine.dispose()


def test_starting_without_a_database_says_why(postgres_database: str) -> None:
    with pytest.raises(StoreUnavailable, match="No such file or directory"):
        opened(f"{postgres_database}-nowhere")
    with pytest.raises(StoreUnavailable, match='role "nobody" does not exist'):
        opened(postgres_database.replace("administrator@", "nobody@"))


def test_an_error_of_ours_is_no_absence_and_quotes_no_values(postgres_database: str) -> None:
    engine = opened(postgres_database)
    with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text("SELECT CAST(:secret AS INTEGER) + nothing FROM book"), {"secret": "canary"})
    assert not isinstance(raised.value, StoreUnavailable)
    assert "canary" not in str(raised.value)
    engine.dispose()


def _end_sessions(postgres: PostgresServer, database: str) -> None:
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(database)}'")


def _name(database: str) -> str:
    return database.partition("?")[0].rpartition("/")[2]
