"""2,000 random statements over two sites give what one DuckDB gives; DATACANAL_SEED chooses which."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench
from tests.e2e.random_statements import base_seed, complaints, first_of, service_complaint
from tests.e2e.service import Service

STATEMENTS = 2_000
PER_TEST = 250
THROUGH_SERVICE = 200
AT_ONCE = 2


def seeds(first: int, number: int) -> range:
    start = base_seed() + first
    print(f"seeds {start} to {start + number - 1}; DATACANAL_SEED={base_seed()} replays the run")  # noqa: T201
    return range(start, start + number)


@pytest.fixture(scope="module")
def running() -> Iterator[dict[int, Future[list[str]]]]:
    """All statements, under way in processes of their own."""
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield {first: pool.submit(complaints, seeds(first, PER_TEST)) for first in range(0, STATEMENTS, PER_TEST)}


@pytest.mark.parametrize("first", range(0, STATEMENTS, PER_TEST))
def test_plans_give_what_one_duckdb_gives(running: dict[int, Future[list[str]]], first: int) -> None:
    found = running[first].result()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("first", range(0, THROUGH_SERVICE, 50))
def test_the_service_gives_what_one_duckdb_gives(service: Service, sample_lakes: dict[str, Path], first: int) -> None:
    with service.client() as client, ThreadPoolExecutor(AT_ONCE) as pool:
        bench = ServiceBench(client, sample_lakes)
        found = first_of(pool.map(lambda seed: service_complaint(bench, seed), seeds(STATEMENTS + first, 50)))
    assert not found, "\n".join(found)
