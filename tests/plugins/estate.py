"""One service for the suites over real and large data, run as a bank would run it where this machine allows it.

Each part is a Unix user of its own then, and neither the control plane nor the other site can read a lake. Elsewhere it
is a plain `datacanal up`, and the tests that are about users say that they were skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.apart import Apart, can_run
from tests.e2e.service import Service, Settings
from tests.plugins.tpch import tpch_is_here, tpch_lakes

from datacanal.client import Client

SITES = {"transactions": "core", "users": "crm"}
"""By lake."""


@dataclass(frozen=True)
class Estate:
    """The service, and its lakes by name. `apart` is None where everything runs as one user."""

    service: Apart | Service
    lakes: Mapping[str, Path]

    @property
    def apart(self) -> Apart | None:
        return self.service if isinstance(self.service, Apart) else None

    def client(self) -> Client:
        return self.service.client()

    def configuration_of(self, lake: str) -> Path:
        """The configuration file that a command at the lake's site needs."""
        return self.apart.configuration_of(lake) if self.apart else self.service.configuration

    def settle(self) -> None:
        """Give what was written into the lakes to their owners, and let the service see it."""
        if self.apart:
            self.apart.give_lakes()
        with self.client() as client:
            for lake in self.lakes:
                client.refresh_lake(lake)


def estate_lakes(root: Path) -> dict[str, Path]:
    """Two lakes below the folder, with the tables of TPC-H at scale 0.1 in them where they can be had."""
    found = tpch_lakes(0.1) if tpch_is_here() else {}
    lakes = {lake: root / lake for lake in SITES}
    for lake, folder in lakes.items():
        if lake in found:
            shutil.copytree(found[lake], folder)
        folder.mkdir(exist_ok=True)
    return lakes


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Two lakes at two sites, with the tables of TPC-H at scale 0.1 in them where they can be had."""
    root = tmp_path_factory.mktemp("estate")
    lakes = estate_lakes(root)
    sites = {site: {lake: lakes[lake]} for lake, site in SITES.items()}
    if can_run():
        with Apart(sites, memory="2GiB") as apart:
            yield Estate(apart, apart.lakes)
    else:
        with Service(root / "service", sites, Settings(memory="2GiB")) as service:
            yield Estate(service, lakes)
