"""Statements and protections that are called harmless: the kernel works it out again. Refused and recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.policy.forged import (
    BY_CHANNEL,
    edited,
    grouped,
    lease_of,
    people_scan,
    plan_of,
    stream_of,
    taken,
    told,
)
from tests.policy.forging import World

from datacanal.protocol.plan import Estimate, PlanColumn, Protection, Step
from datacanal.protocol.site import Lease
from datacanal.site.labels_seal import sealed

# ---------------------------------------------------------------- what the statement reads


def only(world: World, sql: str, columns: dict[str, str]) -> Lease:
    """A query over payments alone whose columns are said to be as public as can be."""
    payments = world.dataset("payments")
    free = next(column.label for column in payments.columns if column.name == "id")
    step = Step(
        id="query",
        site="core",
        kind="query",
        sql=sql,
        inputs=[payments],
        columns=[PlanColumn(name=name, type=kind, label=free) for name, kind in columns.items()],
        estimate=Estimate(rows=1, bytes=1),
    )
    return lease_of(world, plan_of([step]), "query")


BEYOND = {
    "another dataset": "SELECT card AS id FROM occ1.transactions.cards",
    "another dataset by its own name": "SELECT card AS id FROM transactions.cards",
    "another snapshot's files": "SELECT id FROM read_parquet('/lake/payments/1.parquet')",
    "a file by its name": "SELECT id FROM '/lake/payments/1.parquet'",
    "the guard of another job": "SELECT entity AS id FROM '/core/scratch/outputs/out_1.arrow.guard'",
    "a folder of files": "SELECT 1 AS id FROM glob('/**')",
    "the engine's own tables": "SELECT 1 AS id FROM duckdb_settings()",
    "a file that it writes": "COPY (SELECT id FROM occ0.transactions.payments) TO '/tmp/out.csv'",
    "another database": "ATTACH '/core/site.db'",
    "two statements": "SELECT id FROM occ0.transactions.payments; SELECT 1",
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_statement_that_reads_more_than_its_inputs(world: World, name: str) -> None:
    assert told(world, only(world, BEYOND[name], {"id": "BIGINT"})) in GATE


GATE = {"dataset_not_found", "sql_construct_not_allowed", "function_not_allowed", "sql_not_a_select"}

SAID_TO_BE_PUBLIC = {
    "a secret": ("SELECT note AS id FROM occ0.transactions.payments", "VARCHAR"),
    "part of a secret": ("SELECT substr(note, 2) AS id FROM occ0.transactions.payments", "VARCHAR"),
    "all of a row": ("SELECT CAST(payments AS VARCHAR) AS id FROM occ0.transactions.payments", "VARCHAR"),
    "a join key": ("SELECT person AS id FROM occ0.transactions.payments", "BIGINT"),
    "a hash of a join key": ("SELECT hash(person) AS id FROM occ0.transactions.payments", "UBIGINT"),
    "what a secret filters": ("SELECT id FROM occ0.transactions.payments WHERE note = 'n1'", "BIGINT"),
    "what a join key filters": ("SELECT id FROM occ0.transactions.payments WHERE person = 7", "BIGINT"),
    "what an aggregate orders": (
        "SELECT id FROM occ0.transactions.payments ORDER BY amount DESC LIMIT 1",
        "BIGINT",
    ),
    "an aggregate": ("SELECT amount AS id FROM occ0.transactions.payments", "DOUBLE"),
    "a sum that nobody guards": ("SELECT sum(amount) AS id FROM occ0.transactions.payments", "DOUBLE"),
    "the number of rows of a group": (
        "SELECT count(*) AS id FROM occ0.transactions.payments GROUP BY person",
        "BIGINT",
    ),
}


@pytest.mark.parametrize("name", SAID_TO_BE_PUBLIC)
def test_a_statement_whose_columns_are_said_to_be_public_and_are(world: World, name: str) -> None:
    sql, kind = SAID_TO_BE_PUBLIC[name]
    assert told(world, only(world, sql, {"id": kind})) == "labels_differ"


HONEST_ABOUT_IT = {
    "a join key in a result": ("query", "SELECT person FROM occ0.transactions.payments"),
    "a secret in a result": ("query", "SELECT note FROM occ0.transactions.payments"),
    "an aggregate in a result": ("query", "SELECT amount FROM occ0.transactions.payments"),
    "a secret in a transfer": ("scan", "SELECT note FROM occ0.transactions.payments"),
    "an aggregate in a transfer": ("scan", "SELECT amount FROM occ0.transactions.payments"),
    "a join key that was filtered in a transfer": (
        "scan",
        "SELECT person FROM occ0.transactions.payments WHERE person = 7",
    ),
    "a count of what a join key filtered": (
        "scan",
        "SELECT count(*) AS rows FROM occ0.transactions.payments WHERE person = 7",
    ),
}


@pytest.mark.parametrize("name", HONEST_ABOUT_IT)
def test_labels_that_are_true_but_may_not_leave(world: World, name: str) -> None:
    kind, sql = HONEST_ABOUT_IT[name]
    step = world.step("step", kind, sql, [world.dataset("payments")])
    if kind == "query":
        plan = plan_of([step])
    else:
        given = taken(step, "occ0", "transactions", "payments")
        query = Step(id="query", site="users", kind="query", sql="SELECT 1 AS n", inputs=[given],
                     columns=[PlanColumn(name="n", type="INTEGER")], estimate=Estimate(rows=1, bytes=1))  # fmt: skip
        plan = plan_of([step, query])
    assert told(world, lease_of(world, plan, "step")) == "policy_refused"


def test_a_join_key_that_arrived_is_no_result(world: World) -> None:
    people = people_scan()
    given = taken(people, "occ1", "people", "persons")
    query = world.step("query", "query", "SELECT person FROM occ1.people.persons", [given])
    lease = lease_of(world, plan_of([people, query]), "query")
    world.post.content = stream_of(sealed(lease, people, world.keys["users"]))
    assert told(world, lease) == "policy_refused"


# ---------------------------------------------------------------- how it is protected


def sums(world: World, sql: str, **changed: object) -> Lease:
    """The honest aggregate step with another relation, whose columns are honestly labelled, and its own lies kept."""
    plan = grouped(world)
    honest = plan.step("sums")
    inputs = [world.dataset("payments"), world.dataset("payments", "occ2")] if "occ2" in sql else honest.inputs
    relation = world.relation(sql, inputs)
    columns = [honest.columns[0].model_copy(update={"type": relation[0].type}), *honest.columns[1:]]
    forged = honest.model_copy(
        update={"sql": sql, "inputs": inputs, "relation": relation, "columns": columns, **changed}
    )
    query = plan.step("query").model_copy(update={"inputs": [taken(forged)]})
    return lease_of(world, plan_of([forged, query]), "sums")


FROM = "FROM occ0.transactions.payments AS p"
SELF = f"{FROM}, occ2.transactions.payments AS o"
PROTECTIONS = {
    "a constant for the individual": f"SELECT channel AS g0, amount AS m0, 1::BIGINT AS e0 {FROM}",
    "a random individual": f"SELECT channel AS g0, amount AS m0, (random() * 1000)::BIGINT AS e0 {FROM}",
    "a finer column for the individual": f"SELECT channel AS g0, amount AS m0, id AS e0 {FROM}",
    "an expression of the individual": f"SELECT channel AS g0, amount AS m0, person * 1000 + id AS e0 {FROM}",
    "a number of the row": f"SELECT channel AS g0, amount AS m0, row_number() OVER () AS e0 {FROM}",
    "the individual of another row": f"SELECT p.channel AS g0, p.amount AS m0, o.person AS e0 {SELF}",
    "a measure of chosen rows": f"SELECT channel AS g0, CASE WHEN id = 1 THEN amount END AS m0, person AS e0 {FROM}",
    "a measure times a column": f"SELECT channel AS g0, amount * id AS m0, person AS e0 {FROM}",
    "a secret as a measure": f"SELECT channel AS g0, length(note)::DOUBLE AS m0, person AS e0 {FROM}",
    "a join key as the group": f"SELECT person AS g0, amount AS m0, person AS e0 {FROM}",
    "a secret as the group": f"SELECT note AS g0, amount AS m0, person AS e0 {FROM}",
    "an aggregate as the group": f"SELECT amount AS g0, amount AS m0, person AS e0 {FROM}",
    "a group of a secret": f"SELECT note = 'n1' AS g0, amount AS m0, person AS e0 {FROM}",
    "rows that a secret chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE note = 'n1'",
    "rows that the individual chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE person = 7",
    "rows that the measure chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE amount > 99.5",
    "the largest row": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} ORDER BY amount DESC LIMIT 1",
}


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_protection_with(world: World, name: str) -> None:
    assert told(world, sums(world, PROTECTIONS[name])) == "policy_refused"


@pytest.mark.parametrize("function", ["min", "max", "count_distinct"])
def test_a_measure_that_shows_one_value(world: World, function: str) -> None:
    measures = [{"function": function, "column": "m0"}]
    protection = Protection.model_validate({**BY_CHANNEL.model_dump(), "measures": measures})
    sql = f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM}"
    assert told(world, sums(world, sql, protection=protection)) == "policy_refused"


def loosened(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """What an aggregate step gives, said to be freer than it is."""

    def forge(document: Any) -> None:
        for column in (*document["steps"][0]["columns"], *document["steps"][1]["inputs"][0]["shipped"],
                       *document["steps"][1]["inputs"][0]["columns"]):  # fmt: skip
            change(column["label"])

    return forge


GIVEN: dict[str, Callable[[Any], None]] = {
    "no origin": lambda label: label.update(origins=[]),
    "a smaller min_group": lambda label: label["origins"][0].update(min_group=2),
    "another policy": lambda label: label["owners"][0].update(policy="0" * 64),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_aggregate_that_is_said_to_have(world: World, name: str) -> None:
    forged = edited(grouped(world), loosened(GIVEN[name]))
    assert told(world, lease_of(world, forged, "sums")) == "labels_differ"


def test_a_relation_that_is_said_to_be_free(world: World) -> None:
    def forge(document: Any) -> None:
        document["steps"][0]["relation"][0]["label"]["owners"] = []

    assert told(world, lease_of(world, edited(grouped(world), forge), "sums")) == "labels_differ"
