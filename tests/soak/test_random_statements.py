"""Many random statements: DATACANAL_SEED where they begin (else anywhere), DATACANAL_STATEMENTS how many."""

import os
import time
from collections.abc import Iterator

import pytest
from tests.e2e.random_statements import Bench, base_seed, first_of

STATEMENTS = int(os.environ.get("DATACANAL_STATEMENTS", "50000"))
PER_TEST = 1_000
START = base_seed(time.time_ns() % 10**9 * 1000)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("lakes"))
    yield bench
    bench.close()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, STATEMENTS, PER_TEST))
def test_plans_give_what_one_duckdb_gives(bench: Bench, first: int) -> None:
    last = min(first + PER_TEST, STATEMENTS)
    print(f"seeds {START + first} to {START + last - 1}")  # noqa: T201
    found = first_of(bench.complaint(seed) for seed in range(START + first, START + last))
    assert not found, "\n".join(found)
