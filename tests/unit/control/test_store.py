"""The control plane's store: checks, data."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from datacanal.control.store.opening import open_store
from datacanal.testing.clock_fake import FakeClock


def test_the_database_itself_refuses_a_state_that_does_not_exist(tmp_path: Path) -> None:
    engine = open_store(tmp_path, FakeClock())
    king = text(
        "INSERT INTO tokens (id, name, role, groups, digest, created_at, tenant, principal)"
        " VALUES ('t', 'n', 'king', '[]', 'd', '2030-01-01', 't', 'p')"
    )
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(king)
    engine.dispose()


def test_opening_again_keeps_the_data(tmp_path: Path) -> None:
    open_store(tmp_path, FakeClock()).dispose()
    engine = open_store(tmp_path, FakeClock())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM boots")).scalar() == 1
    engine.dispose()
