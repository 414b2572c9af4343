"""compose.yaml keeps what README.md beside it promises of every container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSITION: dict[str, Any] = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSITION["services"]
LAUNCHERS = {"core-launcher", "people-launcher"}


def test_it_names_no_version_so_that_either_compose_takes_it() -> None:
    assert "version" not in COMPOSITION


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_hardened(service: str) -> None:
    found = SERVICES[service]
    assert found["user"] == "65532:65532"
    assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["pids_limit"]
    assert found["mem_limit"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(found)


@pytest.mark.parametrize("service", SERVICES)
def test_only_launchers_have_the_engines_socket_and_they_have_no_network(service: str) -> None:
    has_socket = any("docker.sock" in volume for volume in SERVICES[service].get("volumes", []))
    assert has_socket == (service in LAUNCHERS)
    assert not has_socket or SERVICES[service]["network_mode"] == "none"


@pytest.mark.parametrize("site", ["core", "people"])
def test_a_site_mounts_its_own_volumes_and_what_its_owner_gave_it_read_only(site: str) -> None:
    for service in (site, f"{site}-launcher"):
        mounted = [volume for volume in SERVICES[service]["volumes"] if not volume.startswith((".", "$"))]
        assert mounted == [f"{site}-home:/var/lib/datacanal", f"{site}-lake:/srv/datacanal:ro"]


def test_sites_share_the_network_of_their_exchanges_and_no_other() -> None:
    core, people = (set(SERVICES[site]["networks"]) for site in ("core", "people"))
    assert core & people == {"exchange"}
    networks = COMPOSITION["networks"]
    assert {name for name, network in networks.items() if not network.get("internal")} == {"public"}
    assert "public" not in core | people
