"""From a statement to a plan: sites, steps, transfers, parameters."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.domain.errors import BadParameter, SiteUnreachable, SqlTooDeep, SqlTooLong
from datacanal.planning.catalogue import Catalogue
from datacanal.planning.compiler import compile_statement
from datacanal.planning.functions import functions_digest
from datacanal.protocol.plan import DatasetInput, Plan
from datacanal.testing.comparator import assert_same

NOW = "2026-03-04T05:06:07+00:00"


def test_datasets_of_one_site_make_one_step_there(bench: Any) -> None:
    plan = bench.plan('SELECT count(*) FROM payments JOIN "order" ON payment_id = "select" WHERE amount > 3')
    assert [(step.id, step.site, step.kind) for step in plan.steps] == [("query", "core", "query")]
    assert plan.transfers == []
    assert plan.meeting.site == "core"
    assert all(isinstance(each, DatasetInput) for each in plan.steps[0].inputs)


def test_a_statement_without_datasets_runs_at_a_connected_site(bench: Any) -> None:
    plan = compile_statement("SELECT 1", {}, Catalogue((), frozenset({"b", "a"})), bench.binder, NOW)
    assert (plan.meeting.site, [other.choice for other in plan.meeting.alternatives]) == ("a", ["b"])


def test_a_statement_without_datasets_needs_some_site(bench: Any) -> None:
    with pytest.raises(SiteUnreachable):
        compile_statement("SELECT 1", {}, Catalogue(), bench.binder, NOW)


def test_the_meeting_is_where_the_fewest_bytes_move(bench: Any) -> None:
    plan = bench.plan("SELECT name, sum(amount) FROM people JOIN payments USING (account_id) GROUP BY name")
    assert plan.meeting.site == "core"
    assert plan.meeting.bytes == sum(transfer.estimate.bytes for transfer in plan.transfers)
    other = plan.meeting.alternatives[0]
    assert other.choice == "edge"
    assert other.bytes > plan.meeting.bytes


def test_a_selective_filter_turns_the_meeting_round(bench: Any) -> None:
    plan = bench.plan("SELECT q FROM people q JOIN payments p USING (account_id) WHERE p.payment_id = 3")
    assert plan.meeting.site == "edge"
    assert plan.transfers[0].reason == "2 of 10 columns, rows where (payment_id = 3)"
    assert [each.choice for each in plan.transfers[0].alternatives] == ["the whole dataset", "these columns, all rows"]


def test_a_plan_is_the_same_every_time_and_survives_the_wire(bench: Any) -> None:
    sql = "SELECT name, sum(amount) FROM people JOIN payments USING (account_id) WHERE tier = 'gold' GROUP BY name"
    plan = bench.plan(sql)
    assert plan == bench.plan(sql)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_the_plan_says_which_kernel_and_functions_it_needs(bench: Any) -> None:
    plan = bench.plan("SELECT 1 AS one FROM people")
    assert plan.kernel == bench.binder.kernel
    assert plan.functions == functions_digest()
    assert [(column.name, column.type) for column in plan.columns] == [("one", "INTEGER")]


def test_parameters_are_bound_and_only_the_statement_carries_them(bench: Any) -> None:
    sql = "SELECT name, $label AS l FROM people JOIN payments USING (account_id) WHERE amount > $least ORDER BY ALL"
    params = {"label": "it's", "least": 20}
    plan = bench.plan(sql, params)
    assert [step.params for step in plan.steps] == [{}, params]
    assert_same(bench.answer(sql, params), bench.expected(sql, params))


@pytest.mark.parametrize(
    "value", [None, True, 3, -(2**100), 1.5, "x", "it's\n", [], [1, 2], ["a", None], [[1], [2, 3]], 2**40]
)
def test_plain_values_are_bound_as_one_duckdb_binds_them(bench: Any, value: Any) -> None:
    sql = "SELECT $v AS v, typeof($v) AS t FROM people, payments LIMIT 1"
    assert_same(bench.answer(sql, {"v": value}), bench.expected(sql, {"v": value}))


@pytest.mark.parametrize(
    ("sql", "params", "name"),
    [
        ("SELECT $a", {}, "a"),
        ("SELECT 1", {"a": 1}, "a"),
        ("SELECT $a", {"a": 1, "b": 2}, "b"),
        ("SELECT $a", {"a": {"x": 1}}, "a"),
        ("SELECT $a", {"a": float("nan")}, "a"),
        ("SELECT $a", {"a": [float("inf")]}, "a"),
        ("SELECT $a", {"a": 2**127}, "a"),
        ("SELECT $a", {"a": "\ud800"}, "a"),
        ("SELECT $a", {"a": [[[[[[[[[[1]]]]]]]]]]}, "a"),
        ("SELECT $a", {"a": 1, "A": 2}, "A"),
    ],
)
def test_parameters_that_do_not_fit_are_named(bench: Any, sql: str, params: dict[str, Any], name: str) -> None:
    with pytest.raises(BadParameter) as refusal:
        bench.plan(sql, params)
    assert refusal.value.data["name"] == name


def test_names_of_parameters_are_compared_without_case(bench: Any) -> None:
    assert bench.answer("SELECT $Name AS n, $name AS m", {"NAME": 1}).to_pylist() == [{"n": 1, "m": 1}]


def test_text_that_is_too_long_or_too_deep_never_reaches_the_parser(bench: Any) -> None:
    with pytest.raises(SqlTooLong):
        bench.plan("SELECT '" + "x" * 70 * 1024 + "'")
    with pytest.raises(SqlTooDeep):
        bench.plan("SELECT " + "(" * 400 + "1" + ")" * 400)


@pytest.mark.parametrize("count", [100, 300, 600, 950, 1200, 15000])
def test_long_chains_plan_or_are_refused_as_too_deep(bench: Any, count: int) -> None:
    for sql in ("SELECT " + " + ".join(["1"] * count), " UNION ALL ".join(["SELECT 1"] * min(count, 600))):
        try:
            bench.plan(sql)
        except SqlTooDeep:
            assert count >= 300


def test_a_wide_statement_plans(bench: Any) -> None:
    bench.plan(
        "SELECT count(*) FROM people, payments WHERE name IN (" + ", ".join(f"'n{n}'" for n in range(3000)) + ")"
    )


def test_titles_that_hold_tables_are_those_of_the_original_statement(bench: Any) -> None:
    sql = (
        "SELECT (SELECT max(income) FROM users.people), EXISTS (FROM payments), coalesce(*COLUMNS(['amount', 'score']))"
    )
    sql += " FROM payments"
    assert [column.name for column in bench.plan(sql).columns] == bench.expected(sql).column_names


def test_the_statement_of_a_plan_passes_the_gate_again(bench: Any) -> None:
    for sql in (
        "VALUES (1)",
        "SELECT [x FOR x IN tags] FROM payments, people",
        "SELECT a FROM nothing GROUP BY CUBE (a, b)",
    ):
        plan = bench.plan(sql)
        bench.interpreter.run(plan)
