"""Aggregates at the gate: groups withheld, held against what was released before, counted, and nobody told which."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests.unit.site.gate.house import (
    AMOUNT,
    NOON,
    PROTECTION,
    RELEASE,
    House,
    aggregate_passage,
    labelled,
    policy,
    row_of,
)

from datacanal.domain.errors import BudgetExceeded, EngineFailed, QueryBudgetExceeded, StepRefused, TooManyGroups
from datacanal.protocol.plan import Entity, Measure, Protection
from datacanal.site.gate import protection as judging
from datacanal.site.gate.demands import demand_of
from datacanal.site.gate.passing import Passage
from datacanal.site.store import entity_sets
from datacanal.site.store.entity_sets import RETENTION_DAYS, EntitySetRow

PUBLIC = policy()


def rows(**groups: Sequence[int]) -> str:
    """Each group's individuals, each with one contribution of its own."""
    values = [f"('{name}', {person * 7 + 1}, {person})" for name, people in groups.items() for person in people]
    return f"FROM (VALUES {', '.join(values)}) AS t(g0, m0, e0)"


def logged(house: House) -> int:
    with Session(house.engine) as session, session.begin():
        return session.scalar(select(func.count()).select_from(EntitySetRow)) or 0


def test_small_groups_are_taken_out_of_the_file_before_it_is_recorded(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    passage = aggregate_passage(rows(a=range(3), b=range(10, 20), c=range(20, 26), d=range(30, 40)), tmp_path / "o")
    row = house.gate.pass_out(passage, NOON)
    content = (tmp_path / "o").read_bytes()
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all()
    assert sorted(table["g0"].to_pylist()) == ["b", "d"]
    assert table.schema.metadata == {b"k": b"v"}
    [entry] = [found.entry for found in house.record.entries()]
    assert (entry.rows, entry.bytes, entry.digest) == (2, len(content), sha256(content).hexdigest())
    assert (row.rows, row.bytes, row.digest) == (entry.rows, entry.bytes, entry.digest)
    assert entry.withheld_groups == 2
    kept = house.work.output(row.id)
    assert kept is not None
    assert kept.digest == entry.digest


def test_what_needs_nothing_taken_out_stays_as_it_is(tmp_path: Path) -> None:
    passage = aggregate_passage(rows(a=range(10), b=range(10, 20)), tmp_path / "o")
    row = House(tmp_path, t=PUBLIC).gate.pass_out(passage, NOON)
    assert (row.digest, row.rows) == (passage.release.digest, 2)


def test_a_sum_over_nobody_is_withheld(tmp_path: Path) -> None:
    """Without GROUP BY there is a row even of nothing: its count of 0 says that nobody is there."""
    protection = PROTECTION.model_copy(update={"groups": []})
    passage = aggregate_passage("SELECT 1 AS m0, 1 AS e0 WHERE false", tmp_path / "o", protection=protection)
    assert House(tmp_path, t=PUBLIC).gate.pass_out(passage, NOON).rows == 0


# ---------------------------------------------------------------- the entity log


def test_a_group_without_one_individual_of_a_released_one_is_withheld(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(all=range(20))) == ["all"]
    assert house.aggregate(rows(all=range(1, 20)), replace(RELEASE, job="job_2")) == []
    assert house.aggregate(rows(all=range(21)), replace(RELEASE, job="job_3")) == []
    assert house.aggregate(rows(all=range(6, 20)), replace(RELEASE, job="job_4")) == ["all"]
    assert house.aggregate(rows(all=range(7, 20)), replace(RELEASE, job="job_5")) == []


def test_the_same_answer_is_given_as_often_as_asked(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    for number in range(3):
        assert house.aggregate(rows(a=range(9), b=range(9, 20)), replace(RELEASE, job=f"job_{number}")) == ["a", "b"]
    assert logged(house) == 3  # and their sum


def test_the_blocks_of_one_job_are_held_against_each_other(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(x=range(20)), replace(RELEASE, step="s1")) == ["x"]
    assert house.aggregate(rows(y=range(2, 20)), replace(RELEASE, step="s2")) == []


def test_the_groups_of_one_release_are_held_against_each_other(tmp_path: Path) -> None:
    assert House(tmp_path, t=PUBLIC).aggregate(rows(a=range(20), b=range(1, 20), c=range(30, 60))) != ["a", "b", "c"]


def test_two_groups_of_one_release_that_are_the_same_answer_stay(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(a=range(20), b=range(20))) == ["a", "b"]
    assert logged(house) == 2  # one of the groups, and their sum


def test_what_several_groups_add_up_to_is_held_against_earlier_releases(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(all=range(60))) == ["all"]
    thirds = {"a": range(20), "b": range(20, 40), "c": range(41, 60)}
    assert house.aggregate(rows(**thirds), replace(RELEASE, job="job_2")) == ["a", "b"]
    assert house.aggregate(rows(a=range(20), b=range(20, 39)), replace(RELEASE, job="job_3")) == []


def test_what_several_groups_added_up_to_is_held_against_later_ones(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(a=range(20), b=range(20, 40), c=range(41, 60))) == ["a", "b", "c"]
    assert house.aggregate(rows(all=range(60)), replace(RELEASE, job="job_2")) == []


def test_who_is_in_several_groups_adds_up_to_one(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    both = "SELECT g0, g0 * 100 + range AS m0, range AS e0 FROM range({}, 20), (VALUES (1), (2)) AS t(g0)"
    assert house.aggregate(both.format(0)) == ["1", "2"]
    total = "SELECT 0 AS g0, g0 * 100 + range AS m0, range AS e0 FROM range({}, 20), (VALUES (1), (2)) AS t(g0)"
    assert house.aggregate(total.format(1), replace(RELEASE, job="job_2")) == []
    assert house.aggregate(total.format(0), replace(RELEASE, job="job_3")) == ["0"]


def test_a_group_that_is_close_to_an_earlier_one_is_not_what_the_others_leave_over(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(x=range(20))) == ["x"]
    parts = {"a": range(1, 20), "b": range(20, 30), "c": range(40, 60)}
    assert house.aggregate(rows(**parts), replace(RELEASE, job="job_2")) == ["c"]


def test_after_many_rounds_a_block_is_withheld_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_ROUNDS_AT_MOST", 1)
    house = House(tmp_path, t=PUBLIC)
    assert house.aggregate(rows(x=range(20))) == ["x"]
    parts = {"a": range(1, 20), "b": range(20, 30), "c": range(40, 60)}
    assert house.aggregate(rows(**parts), replace(RELEASE, job="job_2")) == []


def test_groups_whose_measure_holds_nothing_are_not_logged(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    nothing = "SELECT 'a' AS g0, NULL::INTEGER AS m0, range AS e0 FROM range(9)"
    assert house.aggregate(nothing) == ["a"]
    assert logged(house) == 0


def test_what_was_refused_is_not_logged(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"job": {"rows": 0}}))
    with pytest.raises(BudgetExceeded):
        house.aggregate(rows(a=range(9)))
    assert logged(house) == 0


def test_old_groups_are_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    house.aggregate(rows(a=range(20)))
    later = NOON + timedelta(days=RETENTION_DAYS)
    house.aggregate(rows(a=range(20)), replace(RELEASE, job="job_2"), later)
    assert logged(house) == 1
    house.aggregate(rows(b=range(100, 120)), replace(RELEASE, job="job_3"), later + timedelta(days=RETENTION_DAYS + 1))
    assert logged(house) == 1
    assert house.aggregate(rows(a=range(1, 20)), replace(RELEASE, job="job_4"), later + timedelta(days=90)) == ["a"]


def test_beyond_the_bound_the_oldest_groups_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_sets, "SETS_AT_MOST", 2)
    house = House(tmp_path, t=PUBLIC)
    for number in range(3):
        people = range(100 * number, 100 * number + 20)
        house.aggregate(rows(a=people), replace(RELEASE, job=f"job_{number}"), NOON + timedelta(days=number))
    assert logged(house) == 2
    assert house.aggregate(rows(a=range(1, 20)), replace(RELEASE, job="job_8")) == ["a"]
    assert house.aggregate(rows(a=range(201, 220)), replace(RELEASE, job="job_9")) == []


def test_more_groups_than_the_log_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SETS_AT_MOST", 1)
    house = House(tmp_path, t=PUBLIC)
    with pytest.raises(TooManyGroups):
        house.aggregate(rows(a=range(9), b=range(9, 20)))
    assert house.record.entries()[0].entry.decision == "refused"


# ---------------------------------------------------------------- budgets


def again(passage: Passage, job: str) -> Passage:
    """The same output, made for another job."""
    release = replace(passage.release, job=job)
    return replace(passage, release=release, output=row_of(release, Path(passage.output.path)))


def test_aggregates_pay_their_budget_also_where_they_stay(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"aggregate_queries": 2, "job": {"rows": 0}}))
    staying = replace(RELEASE, kind="step", receivers=())
    house.aggregate(rows(a=range(9)), staying)
    house.aggregate(rows(a=range(9)), staying)
    house.aggregate(rows(a=range(9)), replace(staying, job="job_2"))
    with pytest.raises(QueryBudgetExceeded):
        house.aggregate(rows(a=range(9)), replace(staying, job="job_3"))
    house.aggregate(rows(a=range(9)), replace(staying, job="job_3"), NOON + timedelta(days=1))


def test_many_aggregates_at_once_never_overshoot_their_budget(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"aggregate_queries": 5}))
    made = aggregate_passage(rows(a=range(9)), tmp_path / "o")
    passages = [again(made, f"job_{number % 8}") for number in range(32)]
    outcomes: list[bool] = []
    start = threading.Barrier(32)

    def pass_one(passage: Passage) -> None:
        start.wait()
        try:
            house.gate.pass_out(passage, NOON)
            outcomes.append(True)
        except QueryBudgetExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=pass_one, args=(passage,)) for passage in passages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    released = [found.entry.job for found in house.record.entries() if found.entry.decision == "released"]
    assert len(released) == len(set(released)) == 5
    assert outcomes.count(True) == 20


def test_many_at_once_that_differ_by_one_are_not_both_released(tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    passages = [
        aggregate_passage(rows(a=range(number, 40)), tmp_path / f"o{number}", replace(RELEASE, job=f"job_{number}"))
        for number in range(5)
    ]
    left: list[int] = []
    start = threading.Barrier(5)

    def pass_one(passage: Passage) -> None:
        start.wait()
        left.append(house.gate.pass_out(passage, NOON).rows)

    threads = [threading.Thread(target=pass_one, args=(passage,)) for passage in passages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(left) == [0, 0, 0, 0, 1]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.site.gate.house import *
from tests.unit.site.gate.test_aggregates import ROWS
home = Path(sys.argv[1])
house = House(home, t=policy(budgets={"aggregate_queries": 1, "job": {"rows": 2}}))
EgressBook.release = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
house.aggregate(ROWS)
"""
ROWS = rows(a=range(3), b=range(10, 20), c=range(20, 26), d=range(30, 40))


def test_an_agent_killed_between_guard_and_release_is_charged_once(tmp_path: Path) -> None:
    code = f"from datacanal.site.store.egress import EgressBook\n{KILLED}"
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert child.returncode == -signal.SIGKILL
    house = House(tmp_path, t=policy(budgets={"aggregate_queries": 1, "job": {"rows": 2}}))
    for _ in range(2):
        assert house.aggregate(ROWS) == ["b", "d"]
    assert [found.entry.rows for found in house.record.entries()] == [2]


# ---------------------------------------------------------------- what is demanded


def measuring(*functions: str) -> Protection:
    measures = [Measure.model_validate({"function": each, "column": "m0"}) for each in functions]
    return PROTECTION.model_copy(update={"measures": measures})


def test_the_strictest_owner_s_demand_counts() -> None:
    laxer = AMOUNT.model_copy(update={"column": "fee", "min_group": 3, "max_share": 0.9})
    relation = [labelled("m0", AMOUNT, laxer), labelled("e0")]
    demand = demand_of(measuring("sum", "avg"), relation, "core")
    assert demand.min_group == 5
    [measure] = demand.measures
    assert (measure.index, measure.max_share) == (0, 0.8)
    assert [column for _, _, column in measure.origins] == ["amount", "fee"]


def test_what_is_only_counted_is_not_dominated() -> None:
    [measure] = demand_of(measuring("count"), [labelled("m0", AMOUNT)], "core").measures
    assert measure.max_share is None


def test_what_a_gate_released_before_demands_nothing() -> None:
    released = AMOUNT.model_copy(update={"released": True})
    demand = demand_of(measuring("max"), [labelled("m0", released)], "core")
    assert (demand.min_group, demand.measures, demand.datasets) == (1, (), ())


def test_a_governed_column_is_not_measured_otherwise() -> None:
    with pytest.raises(StepRefused):
        demand_of(measuring("sum", "max"), [labelled("m0", AMOUNT)], "core")


def test_no_share_is_demanded_where_no_policy_names_one() -> None:
    [measure] = demand_of(
        measuring("sum"), [labelled("m0", AMOUNT.model_copy(update={"max_share": None}))], "core"
    ).measures
    assert measure.max_share is None


def test_whatever_is_measured_over_rows_that_a_boundary_chose_is_governed() -> None:
    choosing = AMOUNT.model_copy(update={"bounded": True})
    relation = [labelled("m0", choosing), labelled("e0", choosing)]
    demand = demand_of(measuring("max", "count_distinct"), relation, "core")
    assert (demand.min_group, demand.datasets) == (5, (("t", "payments"),))
    assert [(each.index, each.max_share) for each in demand.measures] == [(0, None), (1, None)]


def test_every_entity_set_of_a_step_is_counted(tmp_path: Path) -> None:
    entities = [*PROTECTION.entities, Entity(column="e1", lake="t", dataset="people")]
    protection = PROTECTION.model_copy(update={"entities": entities})
    passage = aggregate_passage(
        "SELECT 'a' AS g0, range AS m0, range AS e0, range % 4 AS e1 FROM range(20)",
        tmp_path / "o",
        protection=protection,
    )
    assert House(tmp_path, t=PUBLIC).gate.pass_out(passage, NOON).rows == 0


# ---------------------------------------------------------------- guards that are none


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_guard_that_cannot_be_read_lets_nothing_out(content: bytes, tmp_path: Path) -> None:
    house = House(tmp_path, t=PUBLIC)
    passage = aggregate_passage(rows(a=range(9)), tmp_path / "o")
    (tmp_path / "o.guard").write_bytes(content)
    with pytest.raises(EngineFailed):
        house.gate.pass_out(passage, NOON)
    assert [found.entry.decision for found in house.record.entries()] == ["refused"]


def test_a_guard_of_other_groups_lets_nothing_out(tmp_path: Path) -> None:
    passage = aggregate_passage(rows(a=range(9), b=range(9)), tmp_path / "o")
    aggregate_passage(rows(a=range(9), b=range(9), c=range(9)), tmp_path / "o")
    with pytest.raises(EngineFailed):
        House(tmp_path, t=PUBLIC).gate.pass_out(passage, NOON)


# ---------------------------------------------------------------- whatever is asked


@pytest.mark.parametrize("seed", [1, 2])
def test_no_two_answers_ever_differ_by_few_individuals(seed: int, tmp_path: Path) -> None:
    """Questions over the same people, most of them near each other: what is released never is, nor what is hidden."""
    chance = random.Random(seed)
    house = House(tmp_path, t=PUBLIC)
    released: list[frozenset[int]] = []
    for number in range(12):
        left_out = set(chance.sample(range(60), chance.choice([0, 1, 2, 5, 9])))
        width = chance.choice([12, 20, 60])
        asked = {
            f"g{first}": [person for person in range(first, first + width) if person not in left_out]
            for first in range(0, 60, width)
        }
        through = house.aggregate(rows(**asked), replace(RELEASE, job=f"job_{number}"))
        hidden = [person for name in asked.keys() - set(through) for person in asked[name]]
        assert not through or len(hidden) == 0 or len(hidden) >= 5
        known = [frozenset(asked[name]) for name in through]
        if through:
            known += [frozenset(itertools.chain(*(asked[name] for name in through))), frozenset(hidden)]
        released += [each for each in known if each]
    assert len(set(released)) > 3
    for one, other in itertools.combinations(released, 2):
        assert len(one ^ other) == 0 or len(one ^ other) >= 5
