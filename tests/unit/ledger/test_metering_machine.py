"""The book and a model of it agree after every step of a hundred random runs; `tests/soak` has two thousand."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.metering_machine import run_metering

from datacanal.ledger.store import open_ledger


@pytest.mark.timeout(300)
def test_the_book_is_what_the_model_is(tmp_path: Path) -> None:
    store = open_ledger(tmp_path)
    run_metering(store, runs=100)
    store.close()
