"""The 22 TPC-H queries at scale 0.1 over two lakes at two sites give what one DuckDB gives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench, sort_columns
from tests.plugins.services import StartService
from tests.plugins.tpch import tpch_queries


@pytest.fixture(scope="module")
def bench(start_service: StartService, tpch: dict[str, Path]) -> Iterator[ServiceBench]:
    sites = {"core": {"transactions": tpch["transactions"]}, "crm": {"users": tpch["users"]}}
    with start_service(sites, memory="2GiB").client() as client:
        yield ServiceBench(client, tpch)


@pytest.mark.tpch
@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_gives_what_one_duckdb_gives(bench: ServiceBench, number: int) -> None:
    sql = tpch_queries()[number]
    assert bench.complaint(sql, {}, sort_columns(sql)) is None
