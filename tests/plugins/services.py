"""Fixtures that run the real `datacanal up` as a subprocess, for the end-to-end and the soak tests."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.e2e.service import Service, Settings

from datacanal.testing.sample import write_sample_lakes

StartService = Callable[..., Service]


@pytest.fixture(scope="session")
def sample_lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sample tables as two lakes."""
    return write_sample_lakes(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Starts services; each is stopped at the end of the module, and nothing of it may be left then."""
    with ExitStack() as stack:

        def start(sites: Mapping[str, Mapping[str, Path]], **settings: object) -> Service:
            home = tmp_path_factory.mktemp("service")
            return stack.enter_context(Service(home, sites, Settings(**settings)))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path]) -> Iterator[Service]:
    """One service over the sample lakes at two sites, shared by all tests that only ask it something."""
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    with Service(tmp_path_factory.mktemp("shared"), sites) as service:
        yield service
