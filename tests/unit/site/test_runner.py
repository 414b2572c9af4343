"""A step from its lease to what the agent reports: own outputs as inputs, aggregates past the gate, no files left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from tests.policy.forged import lease_of, plan_of, taken
from tests.policy.forging import World

from datacanal.protocol.plan import Entity, Measure, Plan, Protection
from datacanal.protocol.site import Done, Failed
from datacanal.site.engine.specification import Task, TaskDone, TaskFailed
from datacanal.site.fleet.port import Pool
from datacanal.site.places import Places

RELATION = "SELECT channel AS g0, amount AS m0, person AS e0 FROM occ0.transactions.payments"
SUMS = Protection(
    groups=["g0"],
    measures=[Measure(function="sum", column="m0")],
    entities=[Entity(column="e0", lake="transactions", dataset="payments")],
)
SMALL = "id < 6"
"""Channel c0 and c1 have two people then, the others one."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def sums_by_channel(world: World, where: str = "true") -> Plan:
    """An aggregate, and the result that is made of it, both at the site."""
    aggregate = world.aggregate("s1", f"{RELATION} WHERE {where}", [world.dataset("payments")], SUMS)
    query = world.step("s2", "query", "SELECT g0 AS channel, a0 AS total FROM occ1.step.s1", [taken(aggregate)])
    return plan_of([aggregate, query])


def done(outcome: Done | Failed) -> Done:
    assert isinstance(outcome, Done), outcome
    return outcome


def failed(outcome: Done | Failed) -> str:
    assert isinstance(outcome, Failed), outcome
    return outcome.problem.code


def table(world: World, outcome: Done) -> list[dict[str, Any]]:
    row = world.books.work.output(outcome.output)
    assert row is not None
    with pa.ipc.open_stream(Path(row.path).read_bytes()) as stream:
        rows: list[dict[str, Any]] = stream.read_all().to_pylist()
    return rows


def files(world: World) -> set[str]:
    places = Places(world.home / "core")
    return {path.suffix for folder in (places.inputs, places.outputs) for path in folder.iterdir()}


def test_an_aggregate_feeds_the_result_at_its_own_site(world: World) -> None:
    plan = sums_by_channel(world)
    first = done(world.run(lease_of(world, plan, "s1", job="j")))
    result = done(world.run(lease_of(world, plan, "s2", job="j")))
    assert (first.rows, first.offers, first.received) == (10, [], [])
    assert (result.rows, result.received) == (4, [])
    assert {row["channel"] for row in table(world, result)} == {"c0", "c1", "c2", "c3"}
    assert [(found.entry.kind, found.entry.rows) for found in world.entries("j")] == [("step", 4), ("result", 4)]
    assert files(world) == {".arrow"}


def test_groups_that_are_too_small_are_gone_before_anybody_reads_them(world: World) -> None:
    plan = sums_by_channel(world, SMALL)
    first = done(world.run(lease_of(world, plan, "s1", job="j")))
    assert table(world, first) == []
    assert done(world.run(lease_of(world, plan, "s2", job="j"))).rows == 0
    assert [found.entry.withheld_groups for found in world.entries("j")] == [4, 0]


def test_a_second_attempt_finds_what_the_first_one_made(world: World) -> None:
    plan = sums_by_channel(world)
    first = done(world.run(lease_of(world, plan, "s1", job="j")))
    again = done(world.run(lease_of(world, plan, "s1", job="j", fence=2, attempt=2)))
    assert again.output == first.output
    assert len(world.entries("j")) == 1


def test_what_is_no_aggregate_and_stays_is_kept_without_a_record(world: World) -> None:
    part = world.step(
        "s1", "subtree", "SELECT channel, person FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    query = world.step("s2", "query", "SELECT DISTINCT channel FROM occ1.step.s1", [taken(part)])
    plan = plan_of([part, query])
    assert done(world.run(lease_of(world, plan, "s1", job="j"))).rows == 200
    assert world.entries("j") == []
    assert done(world.run(lease_of(world, plan, "s2", job="j"))).rows == 4
    assert [found.entry.snapshots for found in world.entries("j")] == [
        {"transactions.payments": world.snapshots["payments"].id}
    ]


def test_an_input_that_is_gone_is_lost(world: World) -> None:
    plan = sums_by_channel(world)
    first = done(world.run(lease_of(world, plan, "s1", job="j")))
    row = world.books.work.output(first.output)
    assert row is not None
    Path(row.path).unlink()
    assert failed(world.run(lease_of(world, plan, "s2", job="j"))) == "output_lost"


class PoolBesideASweeper:
    """Its site's outputs are swept away while a task runs."""

    slots = 1

    def __init__(self, pool: Pool, outputs: Path) -> None:
        self._pool = pool
        self._outputs = outputs

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        for file in self._outputs.iterdir():
            file.unlink()
        return await self._pool.run(task)


def test_an_input_in_use_outlives_the_sweeper(world: World) -> None:
    plan = sums_by_channel(world)
    done(world.run(lease_of(world, plan, "s1", job="j")))
    outputs = Places(world.home / "core").outputs
    object.__setattr__(world.runner, "pool", PoolBesideASweeper(cast("Pool", world.pool), outputs))
    assert done(world.run(lease_of(world, plan, "s2", job="j"))).rows == 4


def test_a_step_that_fails_leaves_no_files(world: World) -> None:
    aggregate = world.aggregate("s1", f"{RELATION} WHERE channel::INTEGER > 0", [world.dataset("payments")], SUMS)
    query = world.step("s2", "query", "SELECT g0 AS channel FROM occ1.step.s1", [taken(aggregate)])
    outcome = world.run(lease_of(world, plan_of([aggregate, query]), "s1"))
    assert failed(outcome) == "conversion_failed"
    assert isinstance(outcome, Failed)
    assert outcome.problem.data["position"] == aggregate.sql.index("::INTEGER")
    assert "c0" not in outcome.problem.model_dump_json().replace("occ0", "")
    assert files(world) == set()


def test_counts_of_governed_data_are_told_roughly_to_everybody_but_the_submitter(world: World) -> None:
    scan = world.step(
        "s1", "scan", "SELECT person FROM occ0.transactions.payments WHERE id < 123", [world.dataset("payments")]
    )
    given = taken(scan, lake="transactions", dataset="payments")
    query = world.step("s2", "query", "SELECT 1 AS one FROM occ1.transactions.payments", [given], site="users")
    plan = plan_of([scan, query])
    outcome = done(world.run(lease_of(world, plan, "s1", job="j")))
    assert (outcome.rows, [offer.rows for offer in outcome.offers]) == (120, [120])
    assert [found.entry.rows for found in world.entries("j")] == [123]
