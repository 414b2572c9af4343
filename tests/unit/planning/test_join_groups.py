"""Which rows need not travel because they find no partner at their own site, and which must all the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import duckdb
import pytest

from datacanal.domain.errors import ConstructNotAllowed
from datacanal.planning.binding import Binding, BindRequest, Question
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.harmless import is_harmless
from datacanal.planning.join_groups import read_join_groups
from datacanal.planning.names import Occurrence, resolve
from datacanal.planning.scans import read_demands
from datacanal.planning.shipments import Proposal, Shipment, bound_table, propose, settle
from datacanal.protocol.labels import Label, PolicyClass
from datacanal.testing.comparator import assert_same

NOW = "2026-03-04T05:06:07+00:00"

PAIR = "payments.account_id = people.account_id"
NONE: list[str] = []


def bound(bench: Any, sql: str, catalogue: Catalogue | None = None) -> tuple[list[Occurrence], Binding]:
    tree = bench.binder.parse(sql)
    occurrences = resolve(tree, catalogue or bench.catalogue)
    question = Question(sql=bench.binder.print_checked(tree), describe=False, lineage=True)
    tables = [bound_table(occurrence) for occurrence in occurrences]
    request = BindRequest(tables=tables, questions=[question], now=NOW, prefix="cx")
    return occurrences, bench.binder.bind(request)[0]


def equalities(bench: Any, sql: str) -> list[str]:
    """`dataset.column = dataset.column`, sorted, of all groups of the statement."""
    occurrences, binding = bound(bench, sql)
    named = {occurrence.name: occurrence.dataset for occurrence in occurrences}
    groups = read_join_groups(binding.bound, list(named))

    def side(column: Any) -> str:
        dataset = named[column.occurrence]
        return f"{dataset.name}.{dataset.columns[column.position].name}"

    return sorted(" = ".join(sorted(map(side, pair))) for group in groups for pair in group.equalities)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM people p JOIN payments q ON p.account_id = q.account_id",
        "SELECT 1 FROM people p JOIN payments q USING (account_id)",
        "SELECT 1 FROM people NATURAL JOIN payments",
        "SELECT 1 FROM people p, payments q WHERE p.account_id = q.account_id",
        "SELECT 1 FROM people p CROSS JOIN payments q WHERE q.account_id = p.account_id AND p.name LIKE 'a%'",
        "SELECT 1 FROM people p SEMI JOIN payments q ON p.account_id = q.account_id",
        "SELECT name FROM people WHERE account_id IN (SELECT account_id FROM payments)",
        "SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM payments q WHERE q.account_id = p.account_id)",
        "SELECT sum(income) FROM people p JOIN payments q USING (account_id) GROUP BY name HAVING sum(income) + 1 > 2",
        "SELECT CAST(name AS INTEGER) FROM people p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT account_id AS k FROM people) p JOIN payments q ON q.account_id = p.k",
        "SELECT 1 FROM (SELECT p.name FROM people p JOIN payments q USING (account_id) LIMIT 3) a",
        "WITH j AS MATERIALIZED (SELECT name FROM people JOIN payments USING (account_id)) SELECT 1 FROM j a, j b",
        "SELECT name FROM people JOIN payments USING (account_id) UNION ALL SELECT 'x'",
        "SELECT (SELECT max(amount) FROM payments q JOIN people p USING (account_id))",
        "SELECT 1 FROM people p JOIN payments q USING (account_id) LEFT JOIN rates r ON r.channel = q.channel",
        "SELECT 1 FROM people p JOIN payments q USING (account_id) WHERE q.channel NOT IN (SELECT channel FROM rates)",
        "SELECT row_number() OVER (ORDER BY name) AS r FROM people JOIN payments USING (account_id) QUALIFY r > 2",
        "SELECT 1 FROM people p JOIN payments q ON p.account_id = q.account_id AND (p.income > 3 OR q.settled)",
    ],
)
def test_tables_joined_on_plain_columns_are_a_group(bench: Any, sql: str) -> None:
    assert equalities(bench, sql) == [PAIR]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM people p LEFT JOIN payments q ON p.account_id = q.account_id",
        "SELECT 1 FROM people p FULL JOIN payments q ON p.account_id = q.account_id",
        "SELECT 1 FROM people p ANTI JOIN payments q ON p.account_id = q.account_id",
        "SELECT 1 FROM people p ASOF JOIN payments q ON p.account_id >= q.account_id",
        "SELECT 1 FROM people p POSITIONAL JOIN payments q WHERE p.account_id = q.account_id",
        "SELECT 1 FROM people p JOIN payments q ON p.account_id = q.account_id OR p.income = 3",
        "SELECT 1 FROM people p JOIN payments q ON p.account_id <= q.account_id",
        "SELECT 1 FROM people p JOIN payments q ON p.account_id IS NOT DISTINCT FROM q.account_id",
        "SELECT 1 FROM people p JOIN payments q ON p.account_id + 0 = q.account_id",
        "SELECT 1 FROM people p, payments q WHERE NOT p.account_id = q.account_id",
        "SELECT name FROM people WHERE account_id NOT IN (SELECT account_id FROM payments)",
        "SELECT name FROM people WHERE account_id IN (SELECT account_id FROM payments) OR income = 3",
        "SELECT name, account_id IN (SELECT account_id FROM payments) FROM people",
        "SELECT name FROM people p WHERE NOT EXISTS (SELECT 1 FROM payments q WHERE q.account_id = p.account_id)",
        "SELECT 1 FROM (SELECT DISTINCT account_id FROM people) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT account_id FROM people LIMIT 3) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT account_id FROM people ORDER BY name) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT max(account_id) AS m FROM people) p JOIN payments q ON q.account_id = p.m",
        "SELECT 1 FROM (SELECT account_id, row_number() OVER () FROM people) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (FROM people UNION ALL FROM people) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT account_id FROM people TABLESAMPLE 50%) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM (SELECT account_id, random() FROM people) p JOIN payments q USING (account_id)",
        "SELECT 1 FROM people p JOIN payments q USING (account_id) USING SAMPLE 50%",
        "SELECT 1 FROM (SELECT p.name FROM people p JOIN payments q USING (account_id)) a POSITIONAL JOIN rates",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r JOIN people p ON n = p.account_id "
        "JOIN payments q ON q.account_id = p.account_id WHERE n < 3) SELECT * FROM r",
        "WITH p AS NOT MATERIALIZED (FROM people) SELECT 1 FROM p a, p b, payments q WHERE a.account_id = q.account_id",
        "SELECT count(*) FROM people, payments",
    ],
)
def test_what_may_notice_a_dropped_row_makes_no_group(bench: Any, sql: str) -> None:
    assert equalities(bench, sql) == NONE


@pytest.mark.parametrize(
    "condition",
    [
        "CAST(p.name AS INTEGER) > 3",
        "p.income + q.payment_id > 3",
        "1 // p.income > 0",
        "random() > 0.5",
        "p.name || q.channel = 'x'",
        "error('x') IS NULL",
        "p.born + 1 > q.booked_at",
        "p.name IN (SELECT name FROM people WHERE CAST(name AS INTEGER) = p.account_id)",
        "CAST(p.income AS INTEGER) IN (SELECT 3)",
    ],
)
def test_a_condition_that_can_raise_forbids_the_group(bench: Any, condition: str) -> None:
    sql = f"SELECT 1 FROM people p JOIN payments q USING (account_id) WHERE {condition}"
    assert PAIR not in equalities(bench, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT y FROM (SELECT CAST(name AS INTEGER) AS y FROM people JOIN payments USING (account_id)) WHERE y > 3",
        "SELECT name FROM (SELECT name FROM people JOIN payments USING (account_id)) WHERE CAST(name AS INTEGER) > 3",
        "SELECT name FROM people JOIN payments USING (account_id) GROUP BY name HAVING CAST(name AS INTEGER) > 3",
        "SELECT name, rank() OVER (PARTITION BY name) FROM people JOIN payments USING (account_id) "
        "QUALIFY CAST(name AS INTEGER) > 3",
        "SELECT * FROM (SELECT name FROM people JOIN payments USING (account_id) UNION ALL SELECT 'x') "
        "WHERE CAST(name AS INTEGER) > 3",
        "WITH j AS MATERIALIZED (SELECT name FROM people JOIN payments USING (account_id)) "
        "SELECT 1 FROM j WHERE CAST(name AS INTEGER) > 3",
        "SELECT 1 FROM (SELECT name FROM people JOIN payments USING (account_id)) j "
        "LEFT JOIN rates r ON r.channel = name AND CAST(name AS INTEGER) > 3",
        "SELECT 1 FROM (SELECT DISTINCT name FROM people JOIN payments USING (account_id)) WHERE error(name) IS NULL",
        "SELECT 1 FROM (SELECT name FROM people JOIN payments USING (account_id)) WHERE error('x') IS NULL",
    ],
)
def test_a_condition_above_that_can_raise_and_be_moved_down_forbids_the_group(bench: Any, sql: str) -> None:
    assert equalities(bench, sql) == NONE


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM people JOIN payments USING (account_id) GROUP BY name HAVING CAST(max(name) AS INTEGER) > 3",
        "SELECT name, rank() OVER (ORDER BY name) AS r FROM people JOIN payments USING (account_id) QUALIFY r * 2 > 3",
        "SELECT 1 FROM people JOIN payments USING (account_id) "
        "WHERE people.name IN (SELECT channel FROM rates WHERE CAST(channel AS INTEGER) > 3)",
    ],
)
def test_a_condition_that_can_raise_elsewhere_does_not(bench: Any, sql: str) -> None:
    assert PAIR in equalities(bench, sql)


def test_a_plan_that_is_not_to_be_had_has_no_groups() -> None:
    assert read_join_groups(None, ["occ0"]) == []


def test_a_plan_that_is_too_deep_has_no_groups() -> None:
    plan: dict[str, Any] = {"type": "LOGICAL_DUMMY_SCAN"}
    for _ in range(3000):
        plan = {"type": "LOGICAL_LIMIT", "children": [plan]}
    assert read_join_groups(plan, ["occ0"]) == []


def test_an_operator_that_is_not_known_forbids_what_is_below_it(bench: Any) -> None:
    plan = bound(bench, "SELECT 1 FROM people JOIN payments USING (account_id)")[1].bound
    assert len(read_join_groups(plan, ["occ0", "occ1"])) == 1
    assert read_join_groups({"type": "LOGICAL_NEW", "children": [plan]}, ["occ0", "occ1"]) == []
    assert read_join_groups(plan, ["occ0"]) == []


def proposals(bench: Any, sql: str, catalogue: Catalogue | None = None) -> list[Proposal]:
    occurrences, binding = bound(bench, sql, catalogue)
    names = [occurrence.name for occurrence in occurrences]
    groups = read_join_groups(binding.bound, names)
    return propose(bench.binder, occurrences, read_demands(binding.plan, names, "cx"), "cx", groups)


def settled(bench: Any, sql: str, catalogue: Catalogue | None = None) -> list[Shipment]:
    return settle(bench.binder, proposals(bench, sql, catalogue), "cx", NOW)


GOLDEN = (
    "SELECT p.name, q.amount FROM people p JOIN people g ON p.account_id = g.account_id "
    "JOIN payments q ON q.account_id = p.account_id WHERE g.tier = 'gold'"
)


def test_a_scan_drops_rows_without_a_partner_at_its_site(bench: Any) -> None:
    whole, filtered, alone = settled(bench, GOLDEN)
    assert whole.sql == (
        'SELECT t0.account_id, t0."name" FROM (occ0.users.people AS t0 SEMI JOIN '
        "(SELECT t1.account_id AS k0 FROM occ1.users.people AS t1 WHERE (t1.tier = 'gold')) AS s2 "
        "ON ((t0.account_id = s2.k0)))"
    )
    assert [occurrence.name for occurrence in whole.reads] == ["occ0", "occ1"]
    assert whole.proposal.estimate.bytes < whole.proposal.unjoined.bytes
    assert whole.proposal.estimate.scanned_bytes == 2 * whole.proposal.unjoined.scanned_bytes  # two columns each
    assert " JOIN " not in filtered.sql + alone.sql


def test_a_scan_that_joins_keeps_its_own_filter(bench: Any) -> None:
    found = settled(bench, f"{GOLDEN} AND p.income > 5000")[0]
    assert found.sql.endswith("ON ((t0.account_id = s2.k0))) WHERE (t0.income > 5000)")
    assert found.condition == "(income > 5000)"


ONLY_GOLD_HAS_A_NUMBER = "CAST(CASE WHEN p.account_id % 3 = 0 THEN '1' ELSE 'none' END AS INTEGER) = 1"


@pytest.mark.parametrize(
    "sql",
    [
        GOLDEN,
        f"{GOLDEN} AND p.income > 5000",
        f"{GOLDEN} AND q.account_id IN (SELECT account_id FROM people WHERE born IS NOT NULL)",
        f"{GOLDEN} AND NOT EXISTS (SELECT 1 FROM people n WHERE n.name = p.name AND n.tier = 'basic')",
        f"SELECT name, count(*) AS c, sum(amount) AS s FROM ({GOLDEN}) GROUP BY name HAVING sum(amount) * 2 > 3",
        "SELECT p.name, q.amount FROM payments q LEFT JOIN (people p SEMI JOIN people g ON p.account_id = g.account_id "
        "AND g.tier = 'gold') ON q.account_id = p.account_id",
    ],
)
def test_the_answer_is_that_of_one_duckdb(bench: Any, sql: str) -> None:
    plan = bench.plan(sql)
    moving_people = plan.meeting.site == "core"
    assert any(" SEMI JOIN " in step.sql for step in plan.steps if step.kind == "scan") is moving_people
    assert_same(bench.interpreter.run(plan), bench.expected(sql))


def test_a_statement_that_fails_on_a_row_without_a_partner_fails_all_the_same(bench: Any) -> None:
    sql = f"{GOLDEN} AND {ONLY_GOLD_HAS_A_NUMBER}"
    with pytest.raises(duckdb.ConversionException):
        bench.expected(sql)
    with pytest.raises(duckdb.ConversionException):
        bench.answer(sql)


def test_chains_of_local_joins_count(bench: Any) -> None:
    sql = (
        "SELECT a.name FROM people a JOIN people b ON a.income = b.income JOIN people c ON b.name = c.name "
        "JOIN payments q ON q.account_id = a.account_id WHERE c.account_id = 4"
    )
    found = settled(bench, sql)[0]
    assert [occurrence.name for occurrence in found.reads] == ["occ0", "occ1", "occ2"]
    assert found.sql.count(" SEMI JOIN ") == 2


def test_equalities_through_another_site_count(bench: Any) -> None:
    sql = (
        "SELECT a.name, b.name FROM people a, payments q, people b "
        "WHERE a.account_id = q.account_id AND q.account_id = b.account_id AND b.tier = 'gold'"
    )
    assert "SEMI JOIN" in settled(bench, sql)[0].sql


def test_several_keys_are_asked_together(bench: Any) -> None:
    sql = (
        "SELECT a.name FROM people a JOIN people b ON a.account_id = b.account_id AND a.name = b.name, payments q "
        "WHERE b.tier = 'gold' AND a.account_id = q.account_id"
    )
    assert 'ON (((t0.account_id = s2.k0) AND (t0."name" = s2.k1)))' in settled(bench, sql)[0].sql


def test_a_partner_that_leaves_nearly_every_row_is_not_used(bench: Any) -> None:
    sql = GOLDEN.replace("g.tier = 'gold'", "g.income <> 5")
    assert all(not proposal.partners for proposal in proposals(bench, GOLDEN.partition(" WHERE ")[0]))
    assert "SEMI JOIN" not in settled(bench, sql)[0].sql


def test_keys_of_two_types_are_no_keys(bench: Any) -> None:
    sql = (
        "SELECT a.name FROM people a JOIN people b ON a.account_id = b.income JOIN payments q "
        "ON q.account_id = a.account_id WHERE b.tier = 'gold'"
    )
    assert "SEMI JOIN" not in settled(bench, sql)[0].sql


def test_shipments_with_different_partners_are_not_the_same(bench: Any) -> None:
    sql = GOLDEN.replace("SELECT", "SELECT r.name,").replace(" WHERE", ", people r WHERE")
    first, _, _, other = proposals(bench, f"{sql} AND r.account_id = q.payment_id")
    assert first.columns == other.columns
    assert first.identity != other.identity
    assert first.alone().identity == other.identity


def classed(catalogue: Catalogue, **classes: PolicyClass) -> Catalogue:
    """The catalogue with the columns of `people` in those classes."""

    def governed(dataset: CataloguedDataset) -> CataloguedDataset:
        columns = tuple(
            column.model_copy(update={"label": Label(policy_class=classes.get(column.name, "public"))})
            for column in dataset.columns
        )
        return dataclasses.replace(dataset, columns=columns) if dataset.name == "people" else dataset

    return dataclasses.replace(catalogue, datasets=tuple(map(governed, catalogue.datasets)))


@pytest.mark.parametrize(
    ("classes", "joined"),
    [
        ({}, True),
        ({"account_id": "masked"}, True),
        ({"tier": "masked"}, True),
        ({"income": "secret"}, True),
        ({"tier": "secret"}, False),
        ({"tier": "aggregate"}, False),
        ({"account_id": "join_key"}, False),
        ({"account_id": "secret"}, False),
    ],
)
def test_no_rows_are_dropped_by_what_its_owner_does_not_let_out(bench: Any, classes: Any, joined: bool) -> None:
    found = settled(bench, GOLDEN, classed(bench.catalogue, **classes))[0]
    assert ("SEMI JOIN" in found.sql) is joined


def test_join_keys_of_different_datasets_may_drop_rows(bench: Any) -> None:
    catalogue = classed(bench.catalogue, account_id="join_key")
    people = catalogue.in_lake("users", "people")
    assert people is not None
    cards = dataclasses.replace(people, name="cards")
    both = dataclasses.replace(catalogue, datasets=(*catalogue.datasets, cards))
    assert "SEMI JOIN" in settled(bench, GOLDEN.replace("people g", "cards g"), both)[0].sql


def test_a_join_that_cannot_be_written_is_left_out(bench: Any) -> None:
    class BinderThatCannotPrintJoins(type(bench.binder)):  # type: ignore[misc]  # the bench's own binder, narrowed
        def print_checked(self, tree: Any) -> str:
            if "SEMI" in str(tree):
                raise ConstructNotAllowed(construct="SEMI JOIN")
            return str(super().print_checked(tree))

    binder = BinderThatCannotPrintJoins()
    try:
        found = settle(binder, proposals(bench, GOLDEN), "cx", NOW)
    finally:
        binder.close()
    assert found[0].sql == 'SELECT "account_id", "name" FROM occ0."users"."people"'
    assert found[0].proposal.estimate == found[0].proposal.unjoined


def test_a_partner_whose_filter_does_not_read_back_keeps_all_its_rows(bench: Any) -> None:
    found = proposals(bench, GOLDEN)
    misread = dataclasses.replace(found[0].partners[0].rows, alternatives=(({"class": "CONSTANT"},),))
    partner = dataclasses.replace(found[0].partners[0], rows=misread)
    shipment = settle(bench.binder, [dataclasses.replace(found[0], partners=(partner,))], "cx", NOW)[0]
    assert "SEMI JOIN" in shipment.sql
    assert "WHERE" not in shipment.sql


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"expression_class": "BOUND_CONSTANT"}, True),
        ({"expression_class": "BOUND_NEW"}, False),
        ({"expression_class": "BOUND_FUNCTION", "type": "BOUND_FUNCTION", "qname": {"path": ["x", "~~"]}}, True),
        ({"expression_class": "BOUND_FUNCTION", "type": "BOUND_FUNCTION", "qname": {"path": ["x", "+"]}}, False),
        ({"expression_class": "BOUND_FUNCTION", "type": "BOUND_FUNCTION"}, False),
        ({"expression_class": "BOUND_OPERATOR", "type": "OPERATOR_NOT", "children": []}, True),
        ({"expression_class": "BOUND_OPERATOR", "type": "OPERATOR_TRY", "children": []}, False),
    ],
)
def test_the_list_of_expressions_that_cannot_raise(expression: dict[str, Any], expected: bool) -> None:
    assert is_harmless(expression) is expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ({"id": "INTEGER"}, {"id": "BIGINT"}, True),
        ({"id": "BIGINT"}, {"id": "INTEGER"}, False),
        ({"id": "VARCHAR"}, {"id": "VARCHAR"}, True),
        ({"id": "DECIMAL", "type_info": {"width": 3}}, {"id": "DECIMAL", "type_info": {"width": 5}}, True),
        ({"id": "DECIMAL", "type_info": {"width": 5}}, {"id": "DECIMAL", "type_info": {"width": 3}}, False),
        ({"id": "DECIMAL", "type_info": {"width": 5, "scale": 2}}, {"id": "DECIMAL", "type_info": {"width": 5}}, False),
        ({"id": "INTEGER"}, {"id": "DECIMAL", "type_info": {"width": 12, "scale": 2}}, True),
        ({"id": "INTEGER"}, {"id": "DECIMAL", "type_info": {"width": 11, "scale": 2}}, False),
        (None, {"id": "INTEGER"}, False),
    ],
)
def test_only_a_cast_that_loses_nothing_cannot_raise(source: Any, target: Any, expected: bool) -> None:
    child = {"expression_class": "BOUND_REF", "return_type": source}
    cast = {"expression_class": "BOUND_FUNCTION", "type": "OPERATOR_CAST", "return_type": target, "children": [child]}
    assert is_harmless(cast) is expected
