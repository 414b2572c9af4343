"""The OpenAPI document against the running API: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation, BaseSchema

from datacanal.testing.control_house import control_house

CASES = 2000
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass(frozen=True)
class Running:
    url: str
    admin: str
    site: str


class HouseInThread:
    """A control plane with agents that work, on an event loop of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(30)
        return Running(
            self.url,
            (self._home / "admin.token").read_text().strip(),
            (self._home / "sites" / "core" / "token").read_text().strip(),
        )

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with control_house(self._home) as house:
            self.url = house.url
            agents = [asyncio.create_task((await house.agent(site)).work()) for site in ("core", "users")]
            self._ready.set()
            await self._stop.wait()
            for agent in agents:
                agent.cancel()
            await asyncio.gather(*agents, return_exceptions=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with HouseInThread(tmp_path_factory.mktemp("house") / "home") as running:
        yield running


def document(running: Running, token: str) -> BaseSchema:
    """The running API's document, with a token for the calls that shall have one."""
    config = SchemathesisConfig.from_dict(
        {
            "generation": {"allow-x00": False},  # no text may hold NUL, which JSON Schema cannot say of all texts
            # What a statement means is not in the document: a valid body may be refused as 422.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
            "auth": {"openapi": {"token": {"bearer": token}}},
        }
    )
    return schemathesis.openapi.from_dict(httpx.get(f"{running.url}/openapi.json").json(), config=config)


def operations_of(running: Running) -> list[APIOperation]:
    """Every operation, each with a token that may use it."""
    public = document(running, running.admin).exclude(path_regex="^/v1/site/")
    agents = document(running, running.site).include(path_regex="^/v1/site/")
    return [found.ok() for schema in (public, agents) for found in schema.get_all_operations()]


def test_the_api_keeps_its_document(running: Running) -> None:
    operations = operations_of(running)
    examples = CASES // (len(MODES) * len(operations)) + 5  # a route without parameters has little to vary
    answered = sum(answers(operation, mode, running, examples) for operation in operations for mode in MODES)
    assert answered >= CASES


def answers(operation: APIOperation, mode: GenerationMode, running: Running, examples: int) -> int:
    """Send that many cases and check each answer; how many were sent."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def answer(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(base_url=running.url)

    with suppress(Unsatisfiable):  # nothing about this operation can be wrong
        answer()
    return sent
