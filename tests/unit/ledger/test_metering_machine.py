"""The book and a model of it agree after every step of a hundred random runs; `tests/soak` has two thousand."""

from __future__ import annotations

import pytest
from tests.metering_machine import run_metering

from datacanal.ledger.store import LedgerStore
from datacanal.storage.places import EMBEDDED


@pytest.mark.timeout(300)
def test_the_book_is_what_the_model_is(any_ledger: LedgerStore, any_database: str) -> None:
    run_metering(any_ledger, runs=100 if any_database == EMBEDDED else 20)
