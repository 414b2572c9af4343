"""Every statement of the battery is refused with the column and the rule named, or harmless and let through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.policy.battery import Case, battery
from tests.policy.world import World

from datacanal.domain.errors import PolicyRefused

BATTERY = battery()
REFUSED = [case for case in BATTERY if not case.harmless]
HARMLESS = [case for case in BATTERY if case.harmless]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_the_battery_is_as_large_as_promised() -> None:
    assert len(REFUSED) >= 150
    assert len({(case.sql, str(case.params)) for case in BATTERY}) == len(BATTERY)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.sql)
def test_lineage_alone_refuses_it_and_names_the_column(world: World, case: Case) -> None:
    with pytest.raises(PolicyRefused) as refused:
        world.release(case.sql, case.params)
    assert refused.value.data["column"] == case.column
    assert f"its class is {case.rule}:" in str(refused.value.data["rule"])


@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.sql)
def test_what_is_harmless_is_let_through(world: World, case: Case) -> None:
    assert all(label.is_free for label in world.release(case.sql, case.params))
