"""Protected aggregates become steps of their own, and the statement stays the same statement."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from datacanal.domain.errors import NoLegalPlan, PolicyRefused
from datacanal.protocol.plan import Plan, Step
from datacanal.testing.comparator import assert_same
from datacanal.testing.interpreter import Interpreter

AMOUNT = "transactions.payments.amount"
INCOME = "users.people.income"


def groups_of(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.kind == "aggregate"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT channel, sum(amount) FROM payments GROUP BY channel",
        "SELECT sum(amount) FROM payments",
        "SELECT channel, sum(amount) / count(*), round(avg(amount), 2) AS a FROM payments GROUP BY 1 "
        "HAVING count(*) > 3",
        "SELECT channel AS c, count(amount) FROM payments GROUP BY c",
        "SELECT upper(channel) AS u, sum(amount) FROM payments GROUP BY upper(channel) ORDER BY upper(channel) LIMIT 2",
        "SELECT channel, settled, sum(amount) AS s FROM payments GROUP BY ALL ORDER BY ALL",
        "SELECT 7 AS seven, sum(amount) FROM payments GROUP BY ALL",
        "SELECT channel, sum(amount) AS amount FROM payments GROUP BY channel ORDER BY amount",
        "SELECT p.channel, sum(p.amount) FROM transactions.payments AS p GROUP BY channel ORDER BY p.channel",
        "SELECT payments.channel, count(payments.amount) FROM payments GROUP BY payments.channel",
        "SELECT channel, rank() OVER (ORDER BY sum(amount)) AS r FROM payments GROUP BY channel QUALIFY r < 3",
        "SELECT DISTINCT channel, count(amount) > 9 AS b FROM payments GROUP BY channel, settled",
        "SELECT DISTINCT ON (channel) channel, settled, sum(amount) FROM payments GROUP BY ALL ORDER BY "
        "channel, settled",
        "SELECT channel, sum(amount), min(booked_at), count(DISTINCT settled) FROM payments GROUP BY channel",
        "SELECT channel, mean(amount) AS m FROM payments GROUP BY channel ORDER BY max(booked_at), 2",
        "SELECT channel, sum(amount), sum(score) FROM payments GROUP BY channel",
        "SELECT channel, sum(amount) FROM payments WHERE amount >= 10 AND settled GROUP BY channel",
        "SELECT channel, sum(m) FROM (SELECT channel, amount AS m, account_id FROM payments) GROUP BY channel",
        "WITH p AS (SELECT channel, amount AS m, account_id AS w FROM payments) SELECT channel, sum(m) "
        "FROM p GROUP BY 1",
        "SELECT tier, avg(amount) FROM payments JOIN people USING (account_id) GROUP BY ALL ORDER BY tier",
        "SELECT tier, avg(amount) FROM people AS q, payments AS p WHERE q.account_id = p.account_id GROUP BY q.tier",
        "SELECT channel, sum(amount) FROM payments AS p SEMI JOIN people AS q ON p.account_id = "
        "q.account_id GROUP BY 1",
        "SELECT (SELECT avg(amount) FROM payments) AS m, tier, count(*) FROM people GROUP BY tier",
        "SELECT channel, sum(amount) * 100 / (SELECT sum(amount) FROM payments) AS p FROM payments GROUP BY channel",
        "WITH x AS (SELECT channel, sum(amount) AS s FROM payments GROUP BY 1) SELECT channel, s / "
        "(SELECT sum(s) FROM x) FROM x",
        "SELECT channel, sum(amount) FROM payments GROUP BY 1 UNION ALL SELECT tier, sum(income) FROM "
        "people GROUP BY 1",
        "SELECT max(s) FROM (SELECT channel, sum(amount) AS s FROM payments GROUP BY channel) AS t JOIN "
        "rates USING (channel)",
        "SELECT tier FROM people GROUP BY tier HAVING sum(income) > 20000",
        "SELECT count(*) FROM (SELECT channel FROM payments GROUP BY channel HAVING avg(amount) > 0)",
        "SELECT count(*) FROM payments WHERE amount >= 10",
        "SELECT tier, count(*) FROM people JOIN payments USING (account_id) WHERE amount < 20 GROUP BY people.tier",
        "SELECT tier FROM people JOIN payments USING (account_id) WHERE amount >= 10 GROUP BY tier",
        "SELECT channel, avg(score) FROM (FROM payments WHERE amount >= 10) AS p WHERE amount < 20 GROUP BY channel",
        "SELECT count(*) FROM payments AS p SEMI JOIN (FROM people WHERE tier = 'gold') AS q "
        "ON p.account_id = q.account_id WHERE p.amount >= 20",
        "WITH p AS (FROM payments ORDER BY payment_id LIMIT 90) SELECT sum(amount) FROM p",
        "WITH p AS (FROM payments) SELECT sum(amount), (SELECT count(*) FROM p) AS c FROM p",
        "SELECT sum(amount) AS s, $label AS l FROM payments WHERE channel = $label",
    ],
)
def test_the_statement_gives_what_one_duckdb_gives(governed: Any, sql: str) -> None:
    params = {"label": "card"} if "$label" in sql else {}
    plan = governed.plan(sql, params)
    assert groups_of(plan)
    assert_same(governed.answer(sql, params), governed.expected(sql, params))


def test_an_aggregate_step_has_a_relation_and_says_how_it_is_grouped(governed: Any) -> None:
    [step] = groups_of(governed.plan("SELECT channel, sum(amount), count(*) FROM payments GROUP BY channel"))
    assert [column.name for column in step.relation] == ["g0", "m0", "e0"]
    assert [(column.name, column.type) for column in step.columns] == [
        ("g0", "VARCHAR"),
        ("a0", "DECIMAL(38,2)"),
        ("a1", "BIGINT"),
    ]
    assert step.protection is not None
    assert step.protection.model_dump() == {
        "groups": ["g0"],
        "measures": [{"function": "sum", "column": "m0"}, {"function": "count_star", "column": None}],
        "entities": [{"column": "e0", "lake": "transactions", "dataset": "payments"}],
    }


def test_rows_that_a_boundary_chose_are_counted_by_their_individuals(governed: Any) -> None:
    [step] = groups_of(governed.plan("SELECT count(*) FROM payments AS p WHERE p.amount >= 10"))
    assert [column.name for column in step.relation] == ["e0"]
    assert step.protection is not None
    assert [(each.column, each.dataset) for each in step.protection.entities] == [("e0", "payments")]


def test_what_leaves_an_aggregate_step_is_public_and_remembers_where_it_comes_from(governed: Any) -> None:
    plan = governed.plan("SELECT channel, sum(amount) AS s FROM payments GROUP BY channel")
    for column in (*groups_of(plan)[0].columns, *plan.columns):
        assert column.label.is_free
        assert [(origin.column, origin.released) for origin in column.label.origins] == [("amount", True)]


def test_groups_that_the_gate_withholds_are_in_no_answer(governed: Any, bench: Any) -> None:
    withheld: list[str] = []

    def gate(step: Step, groups: pa.Table, guard: pa.Table) -> pa.Table:
        withheld.append(f"{step.id}: {groups.num_rows} groups, {guard.num_rows} contributions")
        return groups.slice(1)

    interpreter = Interpreter({"transactions": {"payments": bench.oracle.sql("FROM payments")}}, governed.binder, gate)
    plan = governed.plan("SELECT channel, sum(amount) FROM payments GROUP BY channel")
    assert interpreter.run(plan).num_rows == 3
    assert withheld == ["groups_0: 4 groups, 64 contributions"]
    interpreter.close()


def test_the_plan_says_what_its_policies_decided(governed: Any) -> None:
    plan = governed.plan("SELECT tier, avg(amount) FROM payments JOIN people USING (account_id) GROUP BY tier")
    assert plan.policy[0].startswith(f"{AMOUNT}: only groups of at least 3 different account_id, none of which makes")
    assert (
        "users.people.account_id: a join key, it goes to core to be compared there and is in no result." in plan.policy
    )
    assert "users.people: born can only be seen through their masks." in governed.plan("FROM people SELECT born").policy


def test_aggregates_run_where_their_columns_are(governed: Any) -> None:
    plan = governed.plan("SELECT tier, avg(amount) FROM payments JOIN people USING (account_id) GROUP BY tier")
    assert [(step.id, step.site) for step in plan.steps] == [
        ("scan_occ1", "edge"),
        ("groups_0", "core"),
        ("query", "core"),
    ]
    assert [(other.choice, other.reason) for other in plan.meeting.alternatives] == [
        ("edge", f"{AMOUNT} may not leave its site")
    ]


def test_groups_of_two_sites_may_meet(governed: Any) -> None:
    sql = (
        "SELECT a.tier, a.x, b.y FROM (SELECT tier, avg(amount) AS x FROM payments JOIN people USING (account_id) "
        "GROUP BY tier) AS a JOIN (SELECT tier, avg(income) AS y FROM people GROUP BY tier) AS b USING (tier)"
    )
    plan = governed.plan(sql)
    assert {step.site for step in groups_of(plan)} == {"core", "edge"}
    assert_same(governed.answer(sql), governed.expected(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT q.tier, avg(p.amount), avg(q.income) FROM payments AS p JOIN people AS q USING (account_id) GROUP BY 1",
        "SELECT count(*) FROM payments AS p JOIN people AS q USING (account_id) WHERE p.amount >= 10 AND q.income < 20",
    ],
)
def test_columns_that_meet_nowhere_are_named_with_a_way_out(governed: Any, sql: str) -> None:
    with pytest.raises(NoLegalPlan) as refusal:
        governed.plan(sql)
    assert {AMOUNT, INCOME} == set(str(refusal.value.data["columns"]).split(", "))
    assert f"{AMOUNT} may not leave core" in refusal.value.detail
    assert "subquery of its own" in refusal.value.remedy


@pytest.mark.parametrize(
    ("sql", "column", "words"),
    [
        ("SELECT channel, min(amount) FROM payments GROUP BY channel", AMOUNT, "not as min"),
        ("SELECT channel, median(amount) FROM payments GROUP BY channel", AMOUNT, "may not use median"),
        ("SELECT list(amount) FROM payments", AMOUNT, "may not use list"),
        ("SELECT channel, sum(DISTINCT amount) FROM payments GROUP BY 1", AMOUNT, "DISTINCT"),
        ("SELECT count(DISTINCT amount) FROM payments", AMOUNT, "not as count distinct"),
        ("SELECT sum(amount) FILTER (WHERE settled) FROM payments", AMOUNT, "FILTER"),
        ("SELECT sum(amount ORDER BY booked_at) FROM payments", AMOUNT, "in an order"),
        ("SELECT sum(amount + 1) FROM payments", AMOUNT, "bare column"),
        ("SELECT sum(CASE WHEN settled THEN amount END) FROM payments", AMOUNT, "bare column"),
        ("SELECT channel, sum(amount) FROM payments GROUP BY ROLLUP (channel)", AMOUNT, "ROLLUP"),
        ("SELECT sum(amount) FROM payments TABLESAMPLE 50%", AMOUNT, "sample"),
        ("SELECT sum(amount) FROM payments USING SAMPLE 5", AMOUNT, "sample"),
        ("SELECT sum(m) FROM (SELECT amount AS m FROM payments)", AMOUNT, "account_id of transactions.payments is not"),
        ("SELECT sum(amount), * FROM payments GROUP BY ALL", AMOUNT, "names its columns"),
        (
            "SELECT tier, (SELECT sum(amount) FROM payments p WHERE p.account_id = q.account_id) FROM people q",
            AMOUNT,
            "its aggregates",
        ),
        ("SELECT amount, count(*) FROM payments GROUP BY amount", AMOUNT, "GROUP BY"),
        ("SELECT account_id, sum(amount) FROM payments GROUP BY 1", "transactions.payments.account_id", "in GROUP BY"),
        ("SELECT channel, sum(amount) FROM payments WHERE amount > 11 GROUP BY 1", AMOUNT, "in a condition"),
        ("SELECT sum(amount) OVER () FROM payments", AMOUNT, "window"),
        ("SELECT payment_id FROM payments WHERE amount >= 10", AMOUNT, "in a condition"),
        ("SELECT count(*) FROM (SELECT channel FROM payments WHERE amount >= 10)", AMOUNT, "is not read beside it"),
        ("SELECT sum(income), max(name) FROM people", "users.people.name", "secret"),
        (
            "WITH p AS (FROM payments LIMIT 9), q AS (SELECT sum(amount) FROM p) FROM q, p",
            AMOUNT,
            "same rows each time",
        ),
        ("WITH p AS (FROM payments LIMIT 9) SELECT sum(amount), (SELECT count(*) FROM p) FROM p", AMOUNT, "same rows"),
        ("SELECT sum(amount) AS a, count(*) FILTER (WHERE settled) FROM payments", AMOUNT, "FILTER"),
        (
            "SELECT count(*) FILTER (WHERE settled), (SELECT max(name) FROM people) FROM payments",
            "users.people.name",
            "secret",
        ),
    ],
)
def test_what_cannot_be_protected_is_refused_with_column_and_rule(
    governed: Any, sql: str, column: str, words: str
) -> None:
    with pytest.raises(PolicyRefused) as refusal:
        governed.plan(sql)
    assert refusal.value.data["column"] == column
    assert words in str(refusal.value.data["rule"])
    assert refusal.value.remedy


def test_an_alias_that_is_also_a_grouped_column_is_not_guessed_at(governed: Any) -> None:
    with pytest.raises(PolicyRefused, match="alias channel is also the name of a grouped column"):
        governed.plan("SELECT upper(channel) AS channel, sum(amount) FROM payments GROUP BY payments.channel")


def test_aggregates_of_public_columns_stay_where_they_are(governed: Any) -> None:
    plan = governed.plan("SELECT channel, count(*), max(booked_at) FROM payments GROUP BY channel")
    assert [step.kind for step in plan.steps] == ["query"]


def test_a_with_entry_that_only_the_aggregate_needs_goes_with_it(governed: Any) -> None:
    plan = governed.plan("WITH p AS (FROM payments WHERE settled) SELECT channel, sum(amount) FROM p GROUP BY channel")
    assert "WITH" not in plan.step("query").sql
    assert [each.dataset for each in plan.step("query").inputs] == ["groups_0"]
