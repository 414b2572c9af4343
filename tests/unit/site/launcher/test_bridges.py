"""The bridge of a pool's network is shut, or it is told why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.site.launcher.ground import BOOT, Ground
from tests.unit.site.launcher.test_household import fake

from datacanal.site.launcher.bridges import shut_bridge
from datacanal.site.launcher.specification import PoolNetwork

NETWORK = "0123456789ab" + "c" * 52


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """As the kernel has them, with nothing checked."""
    for interface in ("all", "br-0123456789ab", "br-another"):
        (tmp_path / interface).mkdir()
        (tmp_path / interface / "rp_filter").write_text("0\n")
    return tmp_path


def test_its_own_bridge_is_shut_and_no_other(settings: Path) -> None:
    assert shut_bridge(NETWORK, settings) == ""
    found = {file.parent.name: file.read_text().strip() for file in settings.glob("*/rp_filter")}
    assert found == {"all": "0", "br-0123456789ab": "1", "br-another": "0"}


def test_a_machine_that_checks_loosely_everywhere_is_told(settings: Path) -> None:
    (settings / "all" / "rp_filter").write_text("2\n")
    assert shut_bridge(NETWORK, settings) == "net.ipv4.conf.all.rp_filter is 2"


def test_a_bridge_that_is_out_of_sight_is_told(settings: Path) -> None:
    assert "br-ffffffffffff/rp_filter: No such file" in shut_bridge("f" * 64, settings)


def test_every_time_that_a_network_is_asked_for_its_bridge_is_shut(tmp_path: Path) -> None:
    shut: list[str] = []
    household = Ground(tmp_path).household(fake(), shut=lambda network: shut.append(network) or "")
    household.hello(BOOT)
    for _ in range(2):  # the launcher may have been killed after the first had made it
        household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
    assert shut == [household.networks()[0].id] * 2


def test_a_bridge_that_stays_open_is_in_the_log(tmp_path: Path) -> None:
    household = Ground(tmp_path).household(fake(), shut=lambda _network: "no permission")
    household.hello(BOOT)
    with capture_logs() as logs:
        household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
    assert logs == [
        {"event": "bridge_open", "log_level": "warning", "site": "core", "pool": "p1", "reason": "no permission"}
    ]
