"""The binder over two tables, shared: opening it costs more than any test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.planning.lineage.tables import Tables


@pytest.fixture(scope="package")
def tables() -> Iterator[Tables]:
    opened = Tables()
    yield opened
    opened.close()
