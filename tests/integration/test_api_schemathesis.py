"""The OpenAPI document against the running API: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from tests.integration.generated import answers
from tests.integration.in_thread import InThread

from datacanal.serving.tls import pinned_client
from datacanal.testing.control_house import control_house

CASES = 2000
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


class PinnedDoor(HTTPAdapter):
    """The sites' door, as a site knows it: by its certificate, under whatever address."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._context, assert_hostname=False)

    def cert_verify(self, *_: object) -> None:
        """The context knows whom to trust; what this library would add to it is for others."""


@dataclass(frozen=True)
class Running:
    """Both doors, and the session of requests for each."""

    url: str
    door: str
    admin: str
    site: requests.Session

    def doors(self) -> Iterator[tuple[str, requests.Session, BaseSchema]]:
        yield self.url, requests.Session(), document(self.url, requests.Session(), self.admin)
        yield self.door, self.site, document(self.door, self.site, self.admin)


@asynccontextmanager
async def _house(home: Path) -> AsyncIterator[Running]:
    """A control plane with agents that work."""
    async with control_house(home) as house:
        agents = [asyncio.create_task((await house.agent(site)).work()) for site in ("core", "users")]
        identity, http = await house.member("core")
        session = requests.Session()
        session.mount("https://", PinnedDoor(pinned_client(house.plane.door.certificate, identity.pair)))
        admin = (home / "admin.token").read_text().strip()
        yield Running(house.url, str(http.base_url).rstrip("/"), admin, session)
        for agent in agents:
            agent.cancel()
        await asyncio.gather(*agents, return_exceptions=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with InThread(_house(tmp_path_factory.mktemp("house") / "home")) as running:
        yield running


def document(url: str, session: requests.Session, token: str) -> BaseSchema:
    """The running API's document, with a token for the calls that shall have one."""
    config = SchemathesisConfig.from_dict(
        {
            "generation": {"allow-x00": False},  # no text may hold NUL, which JSON Schema cannot say of all texts
            # What a statement means is not in the document: a valid body may be refused as 422.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
            "auth": {"openapi": {"token": {"bearer": token}}},
        }
    )
    return schemathesis.openapi.from_dict(session.get(f"{url}/openapi.json").json(), config=config)


@pytest.mark.timeout(300)
def test_the_api_keeps_its_document(running: Running) -> None:
    doors = [(url, session, list(schema.get_all_operations())) for url, session, schema in running.doors()]
    # A route without parameters has little to vary.
    examples = CASES // (len(MODES) * sum(len(operations) for _, _, operations in doors)) + 5
    answered = sum(
        answers(operation.ok(), mode, url, session, examples)
        for url, session, operations in doors
        for operation in operations
        for mode in MODES
    )
    assert answered >= CASES
