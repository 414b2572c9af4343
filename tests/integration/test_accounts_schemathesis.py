"""The account routes' OpenAPI document against them: whatever is sent, the answer is one that it names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from tests.integration.developers import Town, a_key, subscribed
from tests.integration.generated import answers
from tests.integration.in_thread import InThread
from tests.products import ProductHome, serving

CASES = 400
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@asynccontextmanager
async def _with_something(home: ProductHome) -> AsyncIterator[str]:
    """The address of a gateway with an account that has something."""
    async with serving(home) as running:
        town = Town(running, home)
        await a_key(town.enter("dev"))
        await subscribed(town.enter("dev"), "pub.listed", 202)
        for client in town.clients:
            await client.aclose()
        yield running.url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ProductHome:
    home = ProductHome(tmp_path_factory.mktemp("accounts"))
    home.product("pub.internal")
    home.product("pub.listed", visibility="listed")
    return home


@pytest.fixture(scope="module")
def url(home: ProductHome) -> Iterator[str]:
    with InThread(_with_something(home)) as url:
        yield url


@pytest.mark.timeout(400)
def test_the_account_routes_keep_their_document(home: ProductHome, url: str) -> None:
    session = requests.Session()
    document = session.get(f"{url}/v1/openapi.json", timeout=30).json()
    expected = ["2xx", 302, 400, 401, 404, 409]
    config = SchemathesisConfig.from_dict(
        {
            # Ids, tariffs and codes are texts that are somebody's or nobody's, which no schema says.
            "checks": {"positive_data_acceptance": {"expected-statuses": expected}},
            "auth": {"openapi": {"token": {"bearer": home.token("ann", "admin")}}},
        }
    )
    found = schemathesis.openapi.from_dict(document, config=config).get_all_operations()
    operations = [each.ok() for each in found]
    examples = CASES // (len(MODES) * len(operations)) + 5
    sent = sum(answers(operation, mode, url, session, examples) for operation in operations for mode in MODES)
    assert sent >= CASES
