"""Every test plays a scene in a house of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.control.products.house import House

from datacanal.control.store.opening import open_store
from datacanal.testing.clock_fake import FakeClock


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty database, made once because migrations take longer than the tests."""
    home = tmp_path_factory.mktemp("migrated")
    open_store(home, FakeClock()).dispose()
    return home


@pytest.fixture
def house(tmp_path: Path, empty_home: Path, any_database: str) -> House:
    shutil.copytree(empty_home, tmp_path / "home")
    return House(tmp_path / "home", database=any_database)
