"""The gateway's own OpenAPI documents against it: whatever is sent, the answer is one that they name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from tests.integration.generated import answers
from tests.products import ProductHome, serving

CASES = 3000
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
ROWS = """SELECT CAST(i AS INTEGER) AS id, DATE '2024-01-01' + CAST(i AS INTEGER) AS day, i / 7 AS real,
    i % 2 = 0 AS flag, CAST(i AS DECIMAL(18, 4)) AS amount,
    TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) HOUR AS moment,
    '文字' || i AS "na.me", [i, NULL] AS list, {'a': i} AS pair, CAST(i AS HUGEINT) * 1e18 AS "limit"
    FROM range(500) AS a(i)"""


class GatewayInThread:
    """A gateway with one product of many types, on an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._home = ProductHome(folder)
        self._home.product("pub.types")
        snapshot = self._home.version("pub.types", 0, ROWS, key=["id"], session="day")
        self._home.point("pub.types", snapshot)
        self.token = self._home.token("dev")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self) -> GatewayInThread:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._home) as running:
            self.url = running.url
            self._ready.set()
            await self._stop.wait()

    def operations(self, path: str) -> Iterator[APIOperation]:
        """Those of the document at that address, with a token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        document = requests.get(f"{self.url}{path}", headers=headers, timeout=30).json()
        config = SchemathesisConfig.from_dict(
            {
                # What a filter's text may be depends on its column's type, which no schema of a text says.
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 304, 400, 404, 410, 414]}},
                "auth": {"openapi": {"token": {"bearer": self.token}}},
            }
        )
        return (each.ok() for each in schemathesis.openapi.from_dict(document, config=config).get_all_operations())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayInThread]:
    with GatewayInThread(tmp_path_factory.mktemp("products")) as running:
        yield running


@pytest.mark.timeout(400)
def test_the_gateway_keeps_its_documents(running: GatewayInThread) -> None:
    session = requests.Session()
    paths = ("/openapi.json", "/v1/products/pub.types/openapi.json")
    operations = [operation for path in paths for operation in running.operations(path)]
    examples = CASES // (len(MODES) * len(operations)) + 30  # a route without parameters has little to vary
    sent = sum(answers(operation, mode, running.url, session, examples) for operation in operations for mode in MODES)
    assert sent >= CASES
