"""One agent for every forgery."""

from collections.abc import Iterator

import pytest
from tests.policy.forging import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("core"))
    yield made
    made.close()
