"""2,000 random statements over two sites give what one DuckDB gives; DATACANAL_SEED chooses which."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench
from tests.e2e.random_statements import Bench, base_seed, check, service_complaint
from tests.e2e.service import Service

STATEMENTS = 2_000
PER_TEST = 250
THROUGH_SERVICE = 200


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


@pytest.mark.parametrize("first", range(0, THROUGH_SERVICE, 50))
def test_the_service_gives_what_one_duckdb_gives(service: Service, sample_lakes: dict[str, Path], first: int) -> None:
    start = base_seed() + STATEMENTS + first
    with service.client() as client:
        bench = ServiceBench(client, sample_lakes)
        check(range(start, start + 50), lambda seed: service_complaint(bench, seed))
