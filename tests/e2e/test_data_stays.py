"""The data does not move: each part is a Unix user that can read its own lake only, and every byte between is counted.

The suites over Berka and TPC-H run on the same service.
"""

from __future__ import annotations

import pytest
from tests.e2e.apart import ABSENT, Apart, can_run
from tests.plugins.estate import Estate
from tests.plugins.tpch import tpch_is_here

_HANDSHAKES_BYTES = 64 * 1024
"""What setting up TLS may take, on a few connections each way."""
_HEADS_BYTES = 1024
"""Of one HTTP answer."""
_RECORDS_SHARE = 0.02
"""What TLS adds to each record of up to 16 KiB."""

QUESTION = """
    SELECT c_mktsegment, count(*) AS n, sum(o_totalprice) AS total
    FROM transactions.orders JOIN users.customer ON o_custkey = c_custkey GROUP BY ALL ORDER BY ALL"""


@pytest.fixture(scope="module")
def apart(request: pytest.FixtureRequest) -> Apart:
    if not can_run():
        pytest.skip(ABSENT)
    estate: Estate = request.getfixturevalue("estate")
    assert estate.apart is not None
    return estate.apart


@pytest.mark.users
@pytest.mark.parametrize(
    ("reader", "lake"), [("control", "transactions"), ("control", "users"), ("core", "users"), ("crm", "transactions")]
)
def test_nobody_but_its_own_site_can_read_a_lake(apart: Apart, reader: str, lake: str) -> None:
    tried = apart.try_to_read(reader, lake)
    assert tried.returncode != 0
    assert "Permission denied" in tried.stderr


@pytest.mark.users
@pytest.mark.parametrize(("reader", "lake"), [("core", "transactions"), ("crm", "users")])
def test_a_site_can_read_its_own_lake(apart: Apart, reader: str, lake: str) -> None:
    assert apart.try_to_read(reader, lake).returncode == 0


@pytest.mark.users
@pytest.mark.tpch
def test_the_bytes_that_a_job_moved_are_those_that_passed_between_the_exchanges(apart: Apart) -> None:
    assert tpch_is_here()
    with apart.client() as client:
        client.sql(QUESTION).to_arrow()  # the connections are made
        before = apart.sent_bytes
        stats = client.sql(QUESTION).stats
    passed = apart.sent_bytes - before
    heads = _HEADS_BYTES * len(stats.transfers)
    assert stats.bytes_moved > 10_000
    assert stats.bytes_moved <= passed <= stats.bytes_moved * (1 + _RECORDS_SHARE) + heads + _HANDSHAKES_BYTES
