"""The control plane's store: checks, data."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from datacanal.control.store.opening import Store, open_store
from datacanal.testing.clock_fake import FakeClock


def test_the_database_itself_refuses_a_state_that_does_not_exist(any_store: Store) -> None:
    king = text(
        "INSERT INTO tokens (id, name, role, groups, digest, created_at, tenant, principal)"
        " VALUES ('t', 'n', 'king', '[]', 'd', '2030-01-01', 't', 'p')"
    )
    with any_store.writer.connect() as connection, pytest.raises(IntegrityError, match="ck_tokens_role"):
        connection.execute(king)


def test_opening_again_keeps_the_data(tmp_path: Path, any_database: str) -> None:
    open_store(tmp_path, FakeClock(), any_database).dispose()
    store = open_store(tmp_path, FakeClock(), any_database)
    with store.reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM boots")).scalar() == 1
    store.dispose()


def test_what_reads_cannot_write(any_store: Store) -> None:
    with any_store.reader.connect() as connection, pytest.raises(Exception, match=r"readonly|read-only|only reads"):
        connection.execute(text("DELETE FROM boots"))
