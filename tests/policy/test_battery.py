"""Every statement of the battery is refused with the column and the rule named, or harmless and let through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.policy.battery import Case, battery
from tests.policy.world import NOW, World

from datacanal.domain.errors import NoLegalPlan, PolicyRefused
from datacanal.planning.compiler import compile_statement

BATTERY = battery()
REFUSED = [case for case in BATTERY if not case.harmless]
FORBIDDEN = [case for case in REFUSED if not case.protected]
PROTECTED = [case for case in REFUSED if case.protected]
HARMLESS = [case for case in BATTERY if case.harmless]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def statement(case: Case) -> str:
    return case.sql


def test_the_battery_is_as_large_as_promised() -> None:
    assert len(FORBIDDEN) >= 150
    assert len({(case.sql, str(case.params)) for case in BATTERY}) == len(BATTERY)


@pytest.mark.parametrize("case", REFUSED, ids=statement)
def test_lineage_alone_refuses_it_and_names_column_and_rule(world: World, case: Case) -> None:
    with pytest.raises(PolicyRefused) as refused:
        world.release(case.sql, case.params)
    assert refused.value.data["column"] == case.column
    assert f"its class is {case.rule}:" in str(refused.value.data["rule"])


@pytest.mark.parametrize("case", FORBIDDEN, ids=statement)
def test_the_planner_finds_no_way_to_run_it(world: World, case: Case) -> None:
    with pytest.raises((PolicyRefused, NoLegalPlan)) as refused:
        compile_statement(case.sql, case.params, world.catalogue, world.binder, NOW)
    assert case.column in str(refused.value.data.get("column") or refused.value.data["columns"])


@pytest.mark.parametrize("case", PROTECTED, ids=statement)
def test_an_aggregate_step_makes_it_legal(world: World, case: Case) -> None:
    plan = compile_statement(case.sql, case.params, world.catalogue, world.binder, NOW)
    assert "aggregate" in [step.kind for step in plan.steps]


@pytest.mark.parametrize("case", HARMLESS, ids=statement)
def test_what_is_harmless_is_let_through(world: World, case: Case) -> None:
    assert all(label.is_free for label in world.release(case.sql, case.params))
    compile_statement(case.sql, case.params, world.catalogue, world.binder, NOW)
