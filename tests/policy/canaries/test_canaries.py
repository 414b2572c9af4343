"""No canary leaves: random statements under random policies, everything that crosses a border looked through.

`make soak` asks 20,000. A complaint names the seed of its house, which gives the same house again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from tests.policy.canaries.house import House
from tests.policy.canaries.policies import random_policy
from tests.policy.canaries.statements import random_statement
from tests.policy.canaries.town import write_town

from datacanal.planning.duckdb_binder import DuckDBBinder

_STATEMENTS = 25
"""Of one house: later ones may try to take earlier answers apart."""


def ask_house(seed: int, folder: Path, lakes: dict[str, Path], binder: DuckDBBinder) -> tuple[Counter[str], list[str]]:
    """Outcomes and complaints of the house of that seed."""
    rng = Random(seed)
    house = House(folder, lakes, random_policy(rng), binder)
    outcomes: Counter[str] = Counter()
    try:
        for _ in range(_STATEMENTS):
            sql = random_statement(rng)
            ran = house.ask(sql)
            outcomes[f"{ran.outcome} {ran.code}".strip()] += 1
            if house.watch.complaints:
                return outcomes, [f"house {seed}: {sql}", *house.watch.complaints]
    finally:
        house.close()
    return outcomes, []


def ask_houses(seeds: range, folder: Path) -> Counter[str]:
    """The outcomes of all; fails at the first complaint."""
    lakes = write_town(folder / "town")
    binder = DuckDBBinder()
    outcomes: Counter[str] = Counter()
    try:
        for seed in seeds:
            found, complaints = ask_house(seed, folder / f"house{seed}", lakes, binder)
            assert not complaints, "\n".join(complaints)
            outcomes += found
    finally:
        binder.close()
    return outcomes


@pytest.mark.timeout(400)
def test_no_canary_leaves_in_a_thousand_statements(tmp_path: Path) -> None:
    outcomes = ask_houses(range(40), tmp_path)
    assert sum(outcomes.values()) == 1000
    assert outcomes["answered"] > 100, outcomes
    assert not [outcome for outcome in outcomes if "internal" in outcome], outcomes


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_canary_leaves_in_twenty_thousand_statements(tmp_path: Path) -> None:
    outcomes = ask_houses(range(1000, 1800), tmp_path)
    assert sum(outcomes.values()) == 20_000
