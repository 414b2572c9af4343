"""The 22 TPC-H queries at scale 0.1 over two lakes at two sites give what one DuckDB gives, by whatever rules."""

from collections.abc import Iterator

import pytest
from tests.e2e.outcomes import ServiceBench, sort_columns
from tests.e2e.planned import WITHOUT, PlannedBench, catalogue_of
from tests.plugins.estate import Estate
from tests.plugins.tpch import ABSENT, tpch_is_here, tpch_queries


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[ServiceBench]:
    if not tpch_is_here():
        pytest.skip(ABSENT)
    estate: Estate = request.getfixturevalue("estate")
    with estate.client() as client:
        yield ServiceBench(client, estate.lakes)


@pytest.fixture(scope="module")
def planned(request: pytest.FixtureRequest) -> Iterator[PlannedBench]:
    if not tpch_is_here():
        pytest.skip(ABSENT)
    estate: Estate = request.getfixturevalue("estate")
    with estate.client() as client:
        planned = PlannedBench(catalogue_of(client), estate.lakes)
    yield planned
    planned.close()


@pytest.mark.tpch
@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_gives_what_one_duckdb_gives(bench: ServiceBench, number: int) -> None:
    sql = tpch_queries()[number]
    assert bench.complaint(sql, {}, sort_columns(sql)) is None


@pytest.mark.tpch
@pytest.mark.parametrize("rule", WITHOUT)
@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_gives_the_same_without_a_rule_of_the_planner(
    planned: PlannedBench, number: int, rule: str
) -> None:
    sql = tpch_queries()[number]
    assert planned.complaint(sql, {}, sort_columns(sql), WITHOUT[rule]) is None
