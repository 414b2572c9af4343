"""Gateways are killed 500 times under load, on both kinds of database."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.test_gateways_killed import kill_gateways

KILLS = 500


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_gateways_killed_500_times_lose_nothing_and_charge_nothing_twice(tmp_path: Path, any_database: str) -> None:
    compared = kill_gateways(tmp_path, any_database, KILLS)
    assert compared["answers"] > KILLS
