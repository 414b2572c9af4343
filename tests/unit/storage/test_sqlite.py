"""The embedded database: private, durable, migrated, and strict about who may write at once."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import OperationalError

from datacanal.ledger import MIGRATIONS as OF_LEDGER
from datacanal.ledger.models import TABLES as LEDGER
from datacanal.site.store.database import MIGRATIONS as OF_SITE
from datacanal.site.store.models import Base as SiteBase
from datacanal.state import MIGRATIONS as OF_CONTROL
from datacanal.state.tables import TABLES
from datacanal.storage.sqlite import open_database

STORES = pytest.mark.parametrize(
    ("migrations", "tables"),
    [(OF_CONTROL, TABLES), (OF_LEDGER, LEDGER), (OF_SITE, SiteBase.metadata)],
    ids=["control", "ledger", "site"],
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(tmp_path / "home %d" / "store.db", OF_SITE, begin="BEGIN IMMEDIATE")
    yield made
    made.dispose()


@STORES
def test_the_migrations_make_what_the_models_say(tmp_path: Path, migrations: Path, tables: MetaData) -> None:
    engine = open_database(tmp_path / "store.db", migrations, begin="BEGIN")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables) == []
    engine.dispose()


@STORES
def test_every_row_says_whose_it_is(tmp_path: Path, migrations: Path, tables: MetaData) -> None:
    engine = open_database(tmp_path / "store.db", migrations, begin="BEGIN")
    for table in tables.tables:
        assert {"tenant", "principal"} <= {column["name"] for column in inspect(engine).get_columns(table)}, table
    engine.dispose()


def test_the_database_is_durable_checks_references_and_is_its_owner_s_alone(engine: Engine) -> None:
    with engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        pragmas = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]
    assert pragmas == ["wal", 2, 1]
    assert stat.S_IMODE(Path(str(engine.url.database)).stat().st_mode) == 0o600


def test_migrations_below_any_path_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "100% %(here)s"
    folder.symlink_to(OF_SITE)
    engine = open_database(tmp_path / "store.db", folder, begin="BEGIN")
    assert inspect(engine).has_table("outputs")
    engine.dispose()


def test_an_immediate_transaction_keeps_others_from_beginning(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        second.connection.driver_connection.execute("PRAGMA busy_timeout=0")  # type: ignore[union-attr]  # it is open
        with first.begin(), pytest.raises(OperationalError, match="locked"):
            second.begin()
