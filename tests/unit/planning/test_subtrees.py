"""Parts of a statement whose datasets are all at one site run there whole, where that is sound and cheaper."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from datacanal.planning.rules import Rules
from datacanal.protocol.plan import Plan, Step
from datacanal.testing.comparator import assert_same

PLAIN = Rules(subtrees=False)
GROUPS = "SELECT account_id, count(*) AS n FROM people GROUP BY account_id"


@pytest.fixture(scope="module")
def large(bench: Any) -> Any:
    """The same lakes, said to be so large that groups are far cheaper than rows."""
    datasets = []
    for each in bench.catalogue.datasets:
        columns = []
        for column in each.columns:
            statistics = column.statistics.model_copy(update={"compressed_bytes": 5_000_000, "distinct_count": 20})
            columns.append(column.model_copy(update={"statistics": statistics}))
        datasets.append(dataclasses.replace(each, rows=1_000_000, columns=tuple(columns)))
    return dataclasses.replace(bench, catalogue=dataclasses.replace(bench.catalogue, datasets=tuple(datasets)))


def subtrees_of(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.kind == "subtree"]


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        (f"SELECT channel, g.n FROM payments AS p JOIN ({GROUPS}) AS g USING (account_id) WHERE payment_id < 30", 1),
        (f"WITH g AS ({GROUPS}) SELECT p.channel, a.n, b.n FROM payments AS p, g AS a, g AS b "
         "WHERE p.account_id = a.account_id AND a.n = b.account_id", 1),
        (f"{GROUPS} UNION ALL SELECT account_id, payment_id FROM payments WHERE payment_id < 9", 1),
        (f"SELECT * FROM ({GROUPS}) EXCEPT SELECT account_id, count(*) FROM payments GROUP BY 1", 1),
        ("SELECT * FROM (SELECT DISTINCT tier FROM people) AS t LEFT JOIN payments ON channel = tier::VARCHAR", 1),
        ("SELECT * FROM (SELECT account_id FROM people ORDER BY account_id, name LIMIT 3) JOIN payments "
         "USING (account_id)", 1),
        ("SELECT max(booked_at) FROM (SELECT tier, count(*) FROM people GROUP BY tier) AS t, payments AS p", 1),
        ("SELECT * FROM payments AS p JOIN (SELECT q.account_id, count(*) AS n FROM people AS q JOIN rates AS r "
         "ON q.income > r.rate GROUP BY 1) AS g USING (account_id)", 1),
    ],
)  # fmt: skip
def test_the_part_runs_whole_and_the_answer_is_the_same(large: Any, sql: str, count: int) -> None:
    plan = large.plan(sql)
    assert len(subtrees_of(plan)) == count
    assert not subtrees_of(large.plan(sql, rules=PLAIN))
    assert_same(large.interpreter.run(plan), large.expected(sql))


def test_only_the_columns_and_rows_that_are_needed_travel(large: Any) -> None:
    sql = (
        f"SELECT p.channel FROM payments AS p JOIN ({GROUPS}) AS g USING (account_id) WHERE g.n = 2 AND account_id < 9"
    )
    [step] = subtrees_of(large.plan(sql))
    assert [column.name for column in step.columns] == ["account_id", "n"]
    assert "n = 2" in step.sql.rpartition("AS subtree_0")[2]
    [transfer] = large.plan(sql).transfers
    assert (transfer.from_step, transfer.to_step, transfer.dataset) == (step.id, "query", "step.subtree_0")


def test_a_part_of_which_only_the_count_matters_sends_a_count(large: Any) -> None:
    plan = large.plan("SELECT p.payment_id FROM payments AS p, (SELECT DISTINCT tier FROM people) AS t")
    [step] = subtrees_of(plan)
    assert step.sql.startswith('SELECT count_star() AS "rows" FROM') or "count" in step.sql
    assert [transfer.kind for transfer in plan.transfers] == ["count"]


def test_a_with_entry_that_is_used_twice_is_computed_once(large: Any) -> None:
    sql = f"WITH g AS ({GROUPS}) SELECT * FROM payments AS p, g AS a, g AS b WHERE p.payment_id = a.n AND a.n = b.n"
    plan = large.plan(sql)
    assert len(subtrees_of(plan)) == 1
    assert sum(each.dataset == "subtree_0" for each in plan.step("query").inputs) == 1


def test_parameters_go_with_the_part_that_names_them(large: Any) -> None:
    sql = (
        "SELECT p.channel, $label AS l FROM payments AS p JOIN (SELECT account_id, count(*) AS n FROM people "
        "WHERE income > $least GROUP BY 1) AS g USING (account_id)"
    )
    params = {"label": "x", "least": 3000}
    plan = large.plan(sql, params)
    assert [step.params for step in plan.steps] == [{"least": 3000}, {"label": "x"}]
    assert_same(large.interpreter.run(plan), large.expected(sql, params))


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("SELECT account_id, sum(income + 1) AS n FROM people GROUP BY 1", "an addition that can overflow"),
        ("SELECT account_id, name::INTEGER AS n FROM people GROUP BY ALL", "a cast that can raise"),
        ("SELECT account_id, random() AS n FROM people GROUP BY ALL", "volatile"),
        ("SELECT account_id, row_number() OVER () AS n FROM people", "a window"),
        ("SELECT account_id, list(name) AS n FROM people GROUP BY 1", "an aggregate that is not listed"),
        ("SELECT DISTINCT account_id, 1 AS n FROM people", "a bare constant"),
        ("SELECT DISTINCT account_id, facts AS n FROM people", "a type that is not listed"),
        ("SELECT account_id, count(*) AS ACCOUNT_ID, 0 AS n FROM people GROUP BY 1", "two columns of one name"),
        ("SELECT DISTINCT account_id, (SELECT max(channel) FROM payments) AS n FROM people", "the other site"),
        ("SELECT account_id, count(*) AS n FROM people GROUP BY 1 LIMIT (SELECT 3)", "a limit that is computed"),
    ],
)
def test_what_is_not_on_the_list_stays_in_the_statement(large: Any, part: str, why: str) -> None:
    sql = (
        f"SELECT p.channel FROM payments AS p JOIN ({part}) AS g ON p.account_id = g.account_id WHERE p.payment_id < 3"
    )
    if "ACCOUNT_ID" in part:
        sql = f"SELECT p.channel FROM payments AS p, ({part}) AS g WHERE p.payment_id < 3"
    assert not subtrees_of(large.plan(sql)), why


def test_a_part_that_depends_on_what_is_around_it_stays(large: Any) -> None:
    sql = (
        "SELECT p.payment_id, x.n FROM payments AS p, LATERAL (SELECT count(*) AS n FROM people AS q "
        "WHERE q.account_id = p.account_id) AS x"
    )
    assert not subtrees_of(large.plan(sql))


def test_a_part_that_borrows_a_with_entry_stays(large: Any) -> None:
    sql = (
        "WITH a AS (SELECT account_id, income FROM people LIMIT 9) SELECT * FROM payments AS p JOIN "
        "(SELECT account_id, count(*) AS n FROM a GROUP BY 1) AS g USING (account_id) JOIN a USING (account_id)"
    )
    assert [step.sql.count("GROUP BY") for step in subtrees_of(large.plan(sql))] == [0]


def test_a_part_at_the_meeting_site_is_no_step(large: Any) -> None:
    plan = large.plan(
        "SELECT * FROM rates AS r JOIN (SELECT channel, count(*) AS n FROM payments GROUP BY 1) USING (channel)"
    )
    assert plan.meeting.site in ("core", "edge")
    assert all(step.site != plan.meeting.site for step in subtrees_of(plan))


def test_a_part_that_weighs_no_less_is_not_cut_out(bench: Any) -> None:
    sql = "SELECT * FROM payments JOIN (SELECT DISTINCT account_id, income FROM people) USING (account_id)"
    assert not subtrees_of(bench.plan(sql))


def test_labels_travel_with_the_part(large: Any, governed: Any) -> None:
    labels = {(d.name, c.name): c.label for d in governed.catalogue.datasets for c in d.columns}
    datasets = []
    for each in large.catalogue.datasets:
        columns = [c.model_copy(update={"label": labels[each.name, c.name]}) for c in each.columns]
        datasets.append(dataclasses.replace(each, columns=tuple(columns)))
    catalogue = dataclasses.replace(large.catalogue, datasets=tuple(datasets))
    part = "SELECT channel, count(*) AS n FROM payments GROUP BY channel"
    bench = dataclasses.replace(large, catalogue=catalogue)
    plan = bench.plan(f"SELECT p.tier, p.born, g.n FROM people AS p, ({part}) AS g WHERE p.tier = 'gold'")
    assert subtrees_of(plan)
    owners = {step.id: [owner.dataset for owner in step.columns[0].label.owners] for step in plan.steps}
    assert owners["query"] == ["payments", "people"]
    assert all(found == ["payments"] for step, found in owners.items() if step.startswith("subtree"))
