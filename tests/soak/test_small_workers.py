"""TPC-H at scale 1, both sites on containers, each worker with 512 MiB for all of it: what does not fit spills."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.outcomes import ServiceBench, sort_columns
from tests.e2e.service import Settings
from tests.e2e.test_containers import boxed_service
from tests.plugins.estate import SITES
from tests.plugins.tpch import ABSENT, tpch_is_here, tpch_lakes, tpch_queries

pytestmark = [pytest.mark.soak, pytest.mark.docker, pytest.mark.tpch, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceBench]:
    if not tpch_is_here():
        pytest.skip(ABSENT)
    lakes: dict[str, Path] = dict(tpch_lakes(1))
    sites = {site: {lake: lakes[lake]} for lake, site in SITES.items()}
    settings = Settings(backend="docker", workers=2, memory="512MiB")
    with boxed_service(tmp_path_factory.mktemp("small"), sites, settings) as service, service.client() as client:
        yield ServiceBench(client, lakes)


@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_gives_what_one_duckdb_gives(bench: ServiceBench, number: int) -> None:
    sql = tpch_queries()[number]
    assert bench.complaint(sql, {}, sort_columns(sql)) is None
