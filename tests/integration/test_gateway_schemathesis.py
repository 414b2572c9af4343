"""The gateway's own OpenAPI documents against it: whatever is sent, the answer is one that they name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from tests.integration.generated import answers
from tests.integration.in_thread import InThread
from tests.products import ProductHome, serving

CASES = 3000
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
ROWS = """SELECT CAST(i AS INTEGER) AS id, DATE '2024-01-01' + CAST(i AS INTEGER) AS day, i / 7 AS real,
    i % 2 = 0 AS flag, CAST(i AS DECIMAL(18, 4)) AS amount,
    TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) HOUR AS moment,
    '文字' || i AS "na.me", [i, NULL] AS list, {'a': i} AS pair, CAST(i AS HUGEINT) * 1e18 AS "limit"
    FROM range(500) AS a(i)"""


def _operations(url: str, path: str, token: str) -> Iterator[APIOperation]:
    """Those of the document at that address, with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    document = requests.get(f"{url}{path}", headers=headers, timeout=30).json()
    config = SchemathesisConfig.from_dict(
        {
            # What a filter's text may be depends on its column's type, which no schema of a text says; an
            # Idempotency-Key may have come before with another query (409).
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 304, 400, 404, 409, 410, 414]}},
            "auth": {"openapi": {"token": {"bearer": token}}},
        }
    )
    return (each.ok() for each in schemathesis.openapi.from_dict(document, config=config).get_all_operations())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ProductHome:
    home = ProductHome(tmp_path_factory.mktemp("products"))
    home.product("pub.types")
    snapshot = home.version("pub.types", 0, ROWS, key=["id"], session="day")
    home.point("pub.types", snapshot)
    return home


@pytest.fixture(scope="module")
def url(home: ProductHome) -> Iterator[str]:
    with InThread(serving(home)) as gateway:
        yield gateway.url


@pytest.mark.timeout(400)
def test_the_gateway_keeps_its_documents(home: ProductHome, url: str) -> None:
    session, token = requests.Session(), home.token("dev")
    paths = ("/openapi.json", "/v1/products/pub.types/openapi.json")
    operations = [operation for path in paths for operation in _operations(url, path, token)]
    examples = CASES // (len(MODES) * len(operations)) + 30  # a route without parameters has little to vary
    sent = sum(answers(operation, mode, url, session, examples) for operation in operations for mode in MODES)
    assert sent >= CASES
