"""The account routes' OpenAPI document against them: whatever is sent, the answer is one that it names."""

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
from tests.integration.developers import Town, a_key, subscribed
from tests.integration.generated import answers
from tests.products import ProductHome, serving

CASES = 400
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


class AccountsInThread:
    """A gateway with an account that has something, on an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._home = ProductHome(folder)
        self._home.product("pub.internal")
        self._home.product("pub.listed", visibility="listed")
        self.token = self._home.token("ann", "admin")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self) -> AccountsInThread:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._home) as running:
            self.url = running.url
            town = Town(running, self._home)
            await a_key(town.enter("dev"))
            await subscribed(town.enter("dev"), "pub.listed", 202)
            for client in town.clients:
                await client.aclose()
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountsInThread]:
    with AccountsInThread(tmp_path_factory.mktemp("accounts")) as running:
        yield running


@pytest.mark.timeout(400)
def test_the_account_routes_keep_their_document(running: AccountsInThread) -> None:
    session = requests.Session()
    document = session.get(f"{running.url}/v1/openapi.json", timeout=30).json()
    expected = ["2xx", 302, 400, 401, 404, 409]
    config = SchemathesisConfig.from_dict(
        {
            # Ids, tariffs and codes are texts that are somebody's or nobody's, which no schema says.
            "checks": {"positive_data_acceptance": {"expected-statuses": expected}},
            "auth": {"openapi": {"token": {"bearer": running.token}}},
        }
    )
    found = schemathesis.openapi.from_dict(document, config=config).get_all_operations()
    operations = [each.ok() for each in found]
    examples = CASES // (len(MODES) * len(operations)) + 5
    sent = sum(answers(operation, mode, running.url, session, examples) for operation in operations for mode in MODES)
    assert sent >= CASES
