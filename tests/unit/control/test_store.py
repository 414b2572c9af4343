"""The store: schema, checks, locks."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from datacanal.control.store.models import Base
from datacanal.control.store.opening import HomeLock, open_store
from datacanal.domain.errors import AlreadyRunning
from datacanal.testing.clock_fake import FakeClock


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    engine = open_store(tmp_path, FakeClock())
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_every_row_says_whose_it_is(tmp_path: Path) -> None:
    engine = open_store(tmp_path, FakeClock())
    tables = [name for name in inspect(engine).get_table_names() if name != "alembic_version"]
    for table in tables:
        assert {"tenant", "principal"} <= {column["name"] for column in inspect(engine).get_columns(table)}, table
    engine.dispose()


def test_the_database_itself_refuses_a_state_that_does_not_exist(tmp_path: Path) -> None:
    engine = open_store(tmp_path, FakeClock())
    king = text(
        "INSERT INTO tokens (id, name, role, groups, digest, created_at, tenant, principal)"
        " VALUES ('t', 'n', 'king', '[]', 'd', '2030-01-01', 't', 'p')"
    )
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(king)
    engine.dispose()


def test_the_database_is_durable_and_checks_references(tmp_path: Path) -> None:
    engine = open_store(tmp_path, FakeClock())
    with engine.connect() as connection:
        pragmas = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")]
    assert pragmas == ["wal", 1]
    engine.dispose()


def test_opening_again_keeps_the_data(tmp_path: Path) -> None:
    open_store(tmp_path, FakeClock()).dispose()
    engine = open_store(tmp_path, FakeClock())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM boots")).scalar() == 1
    engine.dispose()


def test_two_control_planes_never_share_a_home(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    with pytest.raises(AlreadyRunning):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()
