"""What travels: the columns and rows that the statement needs, and no filter that could raise or is not understood."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.planning.binding import NamedType
from datacanal.planning.filters import is_pushable, read_filters
from datacanal.planning.scans import read_demands
from datacanal.protocol.plan import Plan, TransferInput
from datacanal.testing.comparator import assert_same


def scans(plan: Plan) -> list[str]:
    return [step.sql for step in plan.steps if step.kind == "scan"]


@pytest.mark.parametrize(
    ("condition", "scan"),
    [
        ("tier = 'gold'", "(tier = 'gold')"),
        ("income > 5 AND income <= 9000", "((income > 5) AND (income <= 9000))"),
        ("income BETWEEN 5 AND 10", "((income >= 5) AND (income <= 10))"),
        ("born >= DATE '1990-01-01'", "(born >= CAST('1990-01-01' AS DATE))"),
        ("born IS NULL", "(born IS NULL)"),
        ("name IN ('a', 'b')", "((\"name\" = 'a') OR (\"name\" = 'b'))"),
        ("name LIKE 'a%'", "((\"name\" >= 'a') AND (\"name\" < 'b'))"),
        ("income + 1 > 5", "(income > 4)"),
        ("name LIKE '%a_b%'", "(\"name\" ~~ '%a_b%')"),
        ("name = 'it''s'", "(\"name\" = 'it''s')"),
        ("NOT (income = 3)", "(income != 3)"),
        ("tier = 'gold' OR income > 7", "((tier = 'gold') OR (income > 7))"),
        ("account_id = $number", "(account_id = 3)"),
        ("income > $number", "(income > 3)"),
        ("tier = $text", "(tier = 'gold')"),
        ("born > current_date", "(born > CAST('2026-03-04' AS DATE))"),
    ],
)
def test_a_filter_that_cannot_raise_goes_down(bench: Any, condition: str, scan: str) -> None:
    sql = f"SELECT count(*) FROM people JOIN payments USING (account_id) WHERE {condition}"
    params = {name: value for name, value in {"number": 3, "text": "gold"}.items() if f"${name}" in sql}
    plan = bench.plan(sql, params)
    assert scans(plan)[0].partition(" WHERE ")[2] == scan
    assert plan.steps[0].params == {}


@pytest.mark.parametrize(
    "condition",
    [
        "name::INTEGER > 3",
        "100 / income > 3",
        "upper(name) = 'X'",
        "random() > 0.5",
        "income * 2 > 5",
        "error(name) IS NULL",
        "facts['k'] = 3",
        "name COLLATE NOCASE = 'x'",
        "name = 'line\nbreak'",
        "name = E'a\\n(TRUE)\\nb'",
        "name = E'optional: a\\noptional: b'",
        "name ~ 'a.*'",
        "length(name) = 3",
        "name || 'x' = 'yx'",
        "born + 1 > DATE '2020-01-01'",
        "income::VARCHAR = '3'",
    ],
)
def test_any_other_filter_stays_with_the_statement(bench: Any, condition: str) -> None:
    sql = f"SELECT count(*) FROM people JOIN payments USING (account_id) WHERE {condition}"
    assert "WHERE" not in scans(bench.plan(sql))[0]


def test_only_needed_columns_travel_and_the_others_read_as_null(bench: Any) -> None:
    plan = bench.plan("SELECT p.payment_id, q.name FROM payments p JOIN people q USING (account_id)")
    assert scans(plan) == ['SELECT "account_id", "name" FROM occ1."users"."people"']
    arrived = plan.step("query").inputs[1]
    assert isinstance(arrived, TransferInput)
    assert [column.name for column in arrived.shipped] == ["account_id", "name"]
    assert len(arrived.columns) == 6


def test_columns_of_a_filter_travel_too(bench: Any) -> None:
    plan = bench.plan("SELECT p FROM people, payments p WHERE tier = 'gold' AND income % 7 = 1")
    assert scans(plan) == ["SELECT tier, income FROM occ0.users.people WHERE (tier = 'gold')"]


def test_where_no_column_is_needed_only_the_count_travels(bench: Any) -> None:
    plan = bench.plan("SELECT count(*) FROM people, payments")
    assert scans(plan) == ['SELECT count(*) AS rows FROM occ0."users"."people"']
    assert plan.transfers[0].kind == "count"
    arrived = plan.step("query").inputs[0]
    assert isinstance(arrived, TransferInput)
    assert arrived.counted
    assert arrived.shipped == []


def test_a_relation_that_the_plan_dropped_is_counted(bench: Any) -> None:
    plan = bench.plan("SELECT payments.payment_id FROM payments, people WHERE 1 = 0")
    assert plan.transfers[0].kind == "count"


def test_two_uses_that_need_the_same_move_once(bench: Any) -> None:
    plan = bench.plan("SELECT p FROM people a, people b, payments p WHERE a.tier = 'gold' AND b.tier = 'gold'")
    assert len(scans(plan)) == 1
    assert [each.from_step for each in plan.step("query").inputs if isinstance(each, TransferInput)] == [
        "scan_occ0"
    ] * 2


def test_several_scans_of_one_use_ship_the_union_of_columns_and_rows(bench: Any) -> None:
    sql = (
        "WITH q AS NOT MATERIALIZED (FROM people) SELECT a.name, b.income, p FROM q a, q b, payments p "
        "WHERE a.tier = 'gold' AND b.income < 3000 AND a.account_id = b.account_id"
    )
    plan = bench.plan(sql)
    scan = scans(plan)[0]
    assert all(name in scan for name in ("account_id", "name", "tier", "income"))
    assert " OR " in scan.partition(" WHERE ")[2]
    assert_same(bench.answer(sql), bench.expected(sql))


def test_one_unfiltered_scan_of_a_use_lifts_the_filter_of_the_others(bench: Any) -> None:
    sql = (
        "WITH q AS NOT MATERIALIZED (FROM people) SELECT count(a.name), count(b.income), count(p) "
        "FROM q a, q b, payments p WHERE a.tier = 'gold' AND a.account_id = b.account_id"
    )
    assert "WHERE" not in scans(bench.plan(sql))[0]
    assert_same(bench.answer(sql), bench.expected(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM people p JOIN payments q USING (account_id) WHERE p.name = $t OR p.income > 100",
        "SELECT count(*) FROM people p JOIN payments q USING (account_id) WHERE p.name <> $t",
        "SELECT count(*) FROM people p JOIN payments q USING (account_id) WHERE p.name IN ($t, 'name 7')",
    ],
)
@pytest.mark.parametrize(
    "text", ["a\nb", "'", "x'\n(TRUE)\n'y", "x') OR (TRUE", "\n", "optional: \n(1 = 1)\n", "--\n", "/*", "\\", "é中\t"]
)
def test_no_constant_can_pass_for_a_filter(bench: Any, sql: str, text: str) -> None:
    assert_same(bench.answer(sql, {"t": text}), bench.expected(sql, {"t": text}))


def test_aliases_cannot_pass_for_columns_of_the_base_table(bench: Any) -> None:
    sql = (
        "SELECT count(*) FROM (SELECT income AS account_id, account_id AS income FROM people) p, payments q "
        "WHERE p.account_id = 3000 OR p.income = 4"
    )
    assert_same(bench.answer(sql), bench.expected(sql))


def test_an_operator_that_is_not_known_ships_everything() -> None:
    plan = {"name": "NEW_OPERATOR", "children": []}
    demand = read_demands(plan, ["occ0"], "c")["occ0"]
    assert demand.columns(3) == [0, 1, 2]


@pytest.mark.parametrize("name", ["cocc0_1x", "other", "occ0_1", ""])
def test_a_projection_that_is_not_understood_ships_every_column(name: str) -> None:
    scan = {"name": "SEQ_SCAN", "children": [], "extra_info": {"Table": "occ0.x.t", "Projections": ["cocc0_1", name]}}
    demand = read_demands(scan, ["occ0"], "c")["occ0"]
    assert demand.columns(3) == ([0, 1, 2] if name else [1])


def test_a_field_of_a_struct_ships_the_struct() -> None:
    scan = {"name": "SEQ_SCAN", "children": [], "extra_info": {"Table": "occ0.x.t", "Projections": "cocc0_2.a.b"}}
    assert read_demands(scan, ["occ0"], "c")["occ0"].columns(3) == [2]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("c0 = 1", "INTEGER", True),
        ("c0 = c0", "INTEGER", True),
        ("CAST(c0 AS BIGINT) = 1", "INTEGER", True),
        ("CAST(c0 AS INTEGER) = 1", "BIGINT", False),
        ("CAST(c0 AS INTEGER) = 1", "VARCHAR", False),
        ("CAST(c0 AS VARCHAR) = 'x'", "ENUM('x', 'y')", True),
        ("CAST(c0 AS UHUGEINT) = 1", "UTINYINT", True),
        ("CAST(c0 AS SMALLINT) = 1", "UTINYINT", True),
        ("CAST(c0 AS TINYINT) = 1", "UTINYINT", False),
        ("CAST(c0 AS DOUBLE) > 1.5", "INTEGER", True),
        ("TRY_CAST(c0 AS BIGINT) = 1", "INTEGER", False),
        ("c0", "BOOLEAN", True),
        ("c0", "INTEGER", False),
        ("NOT c0", "BOOLEAN", True),
        ("c0 IS NULL", "STRUCT(a INTEGER)", True),
        ("c0 = [1]", "INTEGER[]", False),
        ("c0 IN (1, 2)", "INTEGER", True),
        ("c0 IN (1, abs(2))", "INTEGER", False),
        ("c0 BETWEEN 1 AND 2", "INTEGER", True),
        ("1 = 1", "INTEGER", False),
        ("prefix(c0, 'a')", "VARCHAR", True),
        ("prefix(c0, c0)", "VARCHAR", False),
        ("prefix(c0, 'a')", "JSON", False),
        ("c1 = 1", "INTEGER", False),
        ("d0 = 1", "INTEGER", False),
        ("c0 = 1 OR 1 / c0 = 1", "INTEGER", False),
        ("(SELECT true)", "INTEGER", False),
        ("CASE WHEN c0 = 1 THEN true END", "INTEGER", False),
    ],
)
def test_the_list_of_shapes(bench: Any, text: str, kind: str, expected: bool) -> None:
    found = read_filters(bench.binder, [[text]])[0]
    assert found is not None
    assert all(is_pushable(each, [NamedType(name="x", type=kind)], "c") for each in found) is expected


def test_texts_that_do_not_read_alone_give_no_filter(bench: Any) -> None:
    assert read_filters(bench.binder, [["(c0 = 'x", "y')"], ["c0 = 1"]])[0] is None
    assert read_filters(bench.binder, [["(c0 = 'x", "c1 = 2", "y')"]]) == [None]
    assert read_filters(bench.binder, [["c0 = 1) FROM (SELECT 2"]]) == [None]
    assert read_filters(bench.binder, [["c0 = 1); SELECT (2"]]) == [None]
