"""2,000 random statements over two sites give what one DuckDB gives, whichever rules of the planner are in force.

1,600 of any kind, 240 joins of several tables of one site, 160 with parts that run whole at their site. DATACANAL_SEED
chooses which. Half of them are planned with all rules, a quarter each without one of them.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench
from tests.e2e.random_statements import base_seed, complaints, first_of, service_complaint
from tests.e2e.service import Service

from datacanal.testing.join_statements import join_statement_of
from datacanal.testing.subtree_statements import subtree_statement_of

STATEMENTS = 1_600
JOINS = 240
SUBTREES = 160
PER_TEST = 200
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
        plain = {first: pool.submit(complaints, seeds(first, PER_TEST)) for first in range(0, STATEMENTS, PER_TEST)}
        joins = {-1: pool.submit(complaints, seeds(0, JOINS), join_statement_of)}
        subtrees = {-2: pool.submit(complaints, seeds(0, SUBTREES), subtree_statement_of)}
        yield plain | joins | subtrees


@pytest.mark.parametrize("first", range(0, STATEMENTS, PER_TEST))
def test_plans_give_what_one_duckdb_gives(running: dict[int, Future[list[str]]], first: int) -> None:
    found = running[first].result()
    assert not found, "\n".join(found)


def test_joins_of_several_tables_of_one_site_give_what_one_duckdb_gives(running: dict[int, Future[list[str]]]) -> None:
    found = running[-1].result()
    assert not found, "\n".join(found)


def test_parts_that_run_whole_at_their_site_give_what_one_duckdb_gives(
    running: dict[int, Future[list[str]]],
) -> None:
    found = running[-2].result()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("first", range(0, THROUGH_SERVICE, 50))
def test_the_service_gives_what_one_duckdb_gives(service: Service, sample_lakes: dict[str, Path], first: int) -> None:
    with service.client() as client, ThreadPoolExecutor(AT_ONCE) as pool:
        bench = ServiceBench(client, sample_lakes)
        found = first_of(pool.map(lambda seed: service_complaint(bench, seed), seeds(STATEMENTS + first, 50)))
    assert not found, "\n".join(found)
