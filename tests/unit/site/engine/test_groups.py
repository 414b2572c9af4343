"""Aggregate tasks: the groups, the guard beside them, and what neither may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.unit.site.engine.conftest import Bench, read_stream

from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import Entity, Measure, PlanColumn, Protection
from datacanal.site.engine import groups
from datacanal.site.engine.specification import Task
from datacanal.testing.tasks import parquet_source, statement_task, task_input, write_parquet

ROWS = """
SELECT 'r' || (range % 3) AS region, (range % 7)::INTEGER AS amount, nullif(range % 50, 0) AS account FROM range(300)
"""
TYPES = {"region": "VARCHAR", "amount": "INTEGER", "account": "BIGINT"}
RELATION = "SELECT region AS g0, amount AS m0, account AS e0 FROM occ0.transactions.payments"
PROTECTION = Protection(
    groups=["g0"],
    measures=[
        Measure(function="sum", column="m0"),
        Measure(function="avg", column="m0"),
        Measure(function="count_star"),
    ],
    entities=[Entity(column="e0", lake="transactions", dataset="payments")],
)
OWNER = Owner(lake="transactions", dataset="payments", policy="p")
AMOUNT = Origin(
    lake="transactions",
    dataset="payments",
    column="amount",
    policy_class="aggregate",
    entity="account",
    min_group=5,
)
OWNED = Label(owners=[OWNER])
GOVERNED = Label(policy_class="aggregate", owners=[OWNER], origins=[AMOUNT])
COLUMNS = {"g0": "VARCHAR", "a0": "HUGEINT", "a1": "DOUBLE", "a2": "BIGINT"}


def labelled(types: dict[str, str], governed: str = "") -> list[PlanColumn]:
    return [
        PlanColumn(name=name, type=kind, label=GOVERNED if name == governed else OWNED) for name, kind in types.items()
    ]


def released(types: dict[str, str]) -> list[PlanColumn]:
    return [PlanColumn(name=name, type=kind, label=GOVERNED.released()) for name, kind in types.items()]


def aggregate(bench: Bench, sql: str = RELATION, **changes: Any) -> Task:
    lake = write_parquet(bench.lake / "payments/a.parquet", ROWS)
    given = task_input(parquet_source([lake]), TYPES).model_copy(update={"columns": labelled(TYPES, "amount")})
    task = statement_task(sql, COLUMNS, bench.scratch / "out.arrow", [given])
    told = {
        "columns": released(COLUMNS),
        "relation": labelled({"g0": "VARCHAR", "m0": "INTEGER", "e0": "BIGINT"}, "m0"),
        "protection": PROTECTION,
        "guard": str(bench.scratch / "out.guard"),
    }
    return task.model_copy(update={**told, **changes})


def rows_of(bench: Bench) -> list[dict[str, Any]]:
    """The groups in the order of the file; DuckDB reads its own wide integers back."""
    with duckdb.connect(":memory:") as connection:
        relation = connection.from_arrow(read_stream(bench.scratch / "out.arrow"))
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def guard_of(bench: Bench) -> list[dict[str, Any]]:
    with pa.ipc.open_stream(bench.scratch / "out.guard") as stream:
        rows: list[dict[str, Any]] = stream.read_all().to_pylist()
    return rows


def files(bench: Bench) -> set[str]:
    return {path.name for path in bench.scratch.iterdir()}


def test_groups_carry_the_types_that_duckdb_gives(bench: Bench) -> None:
    done = bench.done(aggregate(bench))
    rows = rows_of(bench)
    assert [row["a2"] for row in rows] == [100, 100, 100]
    assert sum(row["a0"] for row in rows) == sum(n % 7 for n in range(300))
    assert rows[0]["a1"] == pytest.approx(float(rows[0]["a0"]) / 100)
    assert (done.rows, files(bench)) == (3, {"out.arrow", "out.guard"})
    assert done.scanned_bytes > 0


def test_the_guard_numbers_groups_by_their_row(bench: Bench) -> None:
    bench.done(aggregate(bench))
    rows = rows_of(bench)
    guard = guard_of(bench)
    for number, row in enumerate(rows):
        parts = [part for part in guard if part["group"] == number]
        assert sum(part["count_2"] for part in parts) == row["a2"]
        assert sum(part["share_0"] for part in parts) == row["a0"]
        assert len({part["entity"] for part in parts}) == len(parts)


def test_parameters_reach_the_relation(bench: Bench) -> None:
    bench.done(aggregate(bench, RELATION + " WHERE region = $r -- the end", params={"r": "r1"}))
    assert [row["g0"] for row in rows_of(bench)] == ["r1"]


def test_a_relation_without_rows_gives_no_groups_and_an_empty_guard(bench: Bench) -> None:
    done = bench.done(aggregate(bench, RELATION + " WHERE false"))
    assert (done.rows, guard_of(bench)) == (0, [])


def test_the_schema_carries_the_task_s_metadata(bench: Bench) -> None:
    bench.done(aggregate(bench, metadata={"datacanal.labels": "[]"}))
    assert read_stream(bench.scratch / "out.arrow").schema.metadata == {b"datacanal.labels": b"[]"}


@pytest.mark.parametrize(
    "changes",
    [
        {"relation": labelled({"g0": "VARCHAR", "m0": "BIGINT", "e0": "BIGINT"}, "m0")},
        {"columns": released({**COLUMNS, "a0": "BIGINT"})},
        {"columns": released({"g0": "VARCHAR", "a0": "HUGEINT", "a1": "DOUBLE", "n": "BIGINT"})},
        {"guard": None},
    ],
)
def test_what_was_planned_otherwise_does_not_run(changes: dict[str, Any], bench: Bench) -> None:
    failed = bench.failed(aggregate(bench, **changes))
    assert (failed.problem.code, files(bench)) == ("engine_failed", set())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"columns": labelled(COLUMNS)}, "labels_differ"),
        ({"relation": labelled({"g0": "VARCHAR", "m0": "INTEGER", "e0": "BIGINT"})}, "labels_differ"),
        ({"protection": PROTECTION.model_copy(update={"entities": []})}, "policy_refused"),
    ],
)
def test_labels_that_do_not_follow_keep_it_from_running(changes: dict[str, Any], code: str, bench: Bench) -> None:
    failed = bench.failed(aggregate(bench, **changes))
    assert (failed.problem.code, files(bench)) == (code, set())


def test_a_step_of_the_site_s_own_needs_individuals_too(bench: Bench) -> None:
    unprotected = PROTECTION.model_copy(update={"entities": []})
    failed = bench.failed(aggregate(bench, gated=False, protection=unprotected))
    assert failed.problem.code == "engine_failed"


def test_too_many_pairs_of_group_and_individual_leave_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "PAIRS_AT_MOST", 149)
    failed = bench.failed(aggregate(bench))
    assert (failed.problem.code, files(bench)) == ("policy_too_many_groups", set())


def test_the_relation_passes_the_gate_like_any_statement(bench: Bench) -> None:
    failed = bench.failed(
        aggregate(bench, "SELECT 'x' AS g0, 1 AS m0, 1::BIGINT AS e0 FROM temp.main.datacanal_groups")
    )
    assert failed.problem.code != "engine_failed"
    assert not Path(bench.scratch / "out.guard").exists()


def test_no_task_sees_the_tables_of_another(bench: Bench) -> None:
    bench.done(aggregate(bench))
    bench.done(aggregate(bench, metadata={"again": "yes"}))
    assert read_stream(bench.scratch / "out.arrow").schema.metadata == {b"again": b"yes"}
