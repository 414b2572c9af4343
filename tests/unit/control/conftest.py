"""Stories start from an empty, migrated store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.control.story import Story

from datacanal.control.store.opening import open_store
from datacanal.testing.clock_fake import FakeClock


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty database, made once because migrations take longer than the tests."""
    home = tmp_path_factory.mktemp("migrated")
    open_store(home, FakeClock()).dispose()
    return home


@pytest.fixture
def story(tmp_path: Path, migrated: Path, any_database: str) -> Iterator[Story]:
    shutil.copytree(migrated, tmp_path / "home")
    story = Story(tmp_path / "home", any_database)
    yield story
    story.desk.close()
