"""The book and a model of it agree after every step of many random runs: DATACANAL_RUNS how many."""

import os
from pathlib import Path

import pytest
from tests.metering_machine import run_metering

from datacanal.ledger.store import open_ledger

RUNS = int(os.environ.get("DATACANAL_RUNS", "2000"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_book_is_what_the_model_is(tmp_path: Path) -> None:
    store = open_ledger(tmp_path)
    run_metering(store, runs=RUNS)
    store.close()
