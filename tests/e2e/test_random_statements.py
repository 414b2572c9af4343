"""2,000 random statements over two sites give what one DuckDB gives; DATACANAL_SEED chooses which."""

from collections.abc import Iterator

import pytest
from tests.e2e.random_statements import Bench, base_seed, check

STATEMENTS = 2_000
PER_TEST = 250


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("lakes"))
    yield bench
    bench.close()


@pytest.mark.parametrize("first", range(0, STATEMENTS, PER_TEST))
def test_plans_give_what_one_duckdb_gives(bench: Bench, first: int) -> None:
    start = base_seed() + first
    print(f"seeds {start} to {start + PER_TEST - 1}; DATACANAL_SEED={base_seed()} replays the run")  # noqa: T201
    check(range(start, start + PER_TEST), bench.complaint)
