"""What an aggregate step may measure: bare columns, counted by the individual of the same row, over free rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from tests.policy.world import World

from datacanal.domain.errors import PolicyRefused
from datacanal.planning.lineage import output_labels, protected_labels
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import Entity, Measure, Protection

SIMPLE = "SELECT channel AS g0, amount AS m0, account_id AS e0 FROM bank.payments"
PAYER = Entity(column="e0", lake="bank", dataset="payments")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def labels(
    world: World,
    sql: str,
    measures: Sequence[tuple[str, str | None]] = (("sum", "m0"),),
    entities: Sequence[Entity] = (PAYER,),
    groups: Sequence[str] = ("g0",),
) -> list[Label]:
    relation, names = world.relation(sql)
    protection = Protection(
        groups=list(groups),
        measures=[Measure.model_validate({"function": function, "column": name}) for function, name in measures],
        entities=list(entities),
    )
    return protected_labels(relation, protection, names)


def refusal(world: World, sql: str, **protection: Sequence[object]) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as error:
        labels(world, sql, **protection)  # type: ignore[arg-type]
    return error.value


@pytest.mark.parametrize("function", ["count", "sum", "avg"])
def test_a_bare_column_may_be_counted_added_up_and_averaged(world: World, function: str) -> None:
    group, measure = labels(world, SIMPLE, [(function, "m0")])
    assert group.policy_class == measure.policy_class == "public"


def test_groups_and_measures_remember_what_decided_which_groups_are_left(world: World) -> None:
    for label in labels(world, SIMPLE, [("sum", "m0"), ("count_star", None)]):
        [origin] = label.origins
        assert (origin.column, origin.released) == ("amount", True)


def test_a_masked_group_stays_masked(world: World) -> None:
    sql = SIMPLE.replace("channel", "booked_at")
    assert [label.policy_class for label in labels(world, sql)] == ["masked", "public"]


@pytest.mark.parametrize("function", ["min", "max", "count_distinct"])
def test_other_functions_of_a_governed_column_are_refused(world: World, function: str) -> None:
    error = refusal(world, SIMPLE, measures=[(function, "m0")])
    assert error.data["column"] == "bank.payments.amount"


@pytest.mark.parametrize("function", ["min", "max", "count_distinct", "sum"])
def test_any_function_of_a_free_column_stands_beside_it(world: World, function: str) -> None:
    sql = SIMPLE.replace("SELECT", "SELECT payment_id AS m1,")
    assert all(label.is_free for label in labels(world, sql, [("sum", "m0"), (function, "m1")]))


@pytest.mark.parametrize(
    ("measure", "column"),
    [
        ("amount * 2", "bank.payments.amount"),
        ("amount::DOUBLE", "bank.payments.amount"),
        ("CASE WHEN settled THEN amount END", "bank.payments.amount"),
        ("coalesce(amount, 0)", "bank.payments.amount"),
        ("sum(amount) OVER ()", "bank.payments.amount"),
        ("score", "bank.payments.score"),
        ("account_id", "bank.payments.account_id"),
    ],
)
def test_anything_but_a_bare_aggregate_column_is_refused(world: World, measure: str, column: str) -> None:
    sql = f"SELECT channel AS g0, {measure} AS m0, account_id AS e0 FROM bank.payments"
    assert refusal(world, sql).data["column"] == column


@pytest.mark.parametrize(
    ("group", "column"), [("account_id", "account_id"), ("memo", "memo"), ("amount", "amount"), ("score % 2", "score")]
)
def test_a_governed_group_is_refused(world: World, group: str, column: str) -> None:
    sql = f"SELECT {group} AS g0, amount AS m0, account_id AS e0 FROM bank.payments"
    assert refusal(world, sql).data["column"] == f"bank.payments.{column}"


@pytest.mark.parametrize(
    ("rest", "column"),
    [
        ("WHERE account_id = 42", "account_id"),
        ("WHERE amount > 999", "amount"),
        ("WHERE memo = 'x'", "memo"),
        ("ORDER BY amount LIMIT 10", "amount"),
    ],
)
def test_rows_that_a_governed_column_decides_about_are_refused(world: World, rest: str, column: str) -> None:
    assert refusal(world, f"{SIMPLE} {rest}").data["column"] == f"bank.payments.{column}"


def test_the_shape_counts_where_there_are_no_groups(world: World) -> None:
    error = refusal(world, f"{SIMPLE} WHERE memo = 'x'", groups=(), measures=[("count_star", None)])
    assert error.data["column"] == "bank.payments.memo"


def test_boundaries_and_joins_of_keys_leave_the_rows_free(world: World) -> None:
    sql = (
        "SELECT district AS g0, amount AS m0, p.account_id AS e0 FROM bank.payments p JOIN crm.people q "
        "ON p.account_id = q.account_id WHERE amount >= 1000"
    )
    assert all(label.is_free for label in labels(world, sql))


def test_each_dataset_brings_its_own_individual(world: World) -> None:
    sql = (
        "SELECT district AS g0, amount AS m0, income AS m1, p.account_id AS e0, q.account_id AS e1 "
        "FROM bank.payments p JOIN crm.people q ON p.account_id = q.account_id"
    )
    person = Entity(column="e1", lake="crm", dataset="people")
    both = [("sum", "m0"), ("avg", "m1")]
    assert all(label.is_free for label in labels(world, sql, both, [PAYER, person]))
    assert refusal(world, sql, measures=both).data["column"] == "crm.people.income"


@pytest.mark.parametrize(
    "entity",
    ["payment_id", "account_id + 0", "CASE WHEN settled THEN account_id END", "NULL::INTEGER", "row_number() OVER ()"],
)
def test_only_the_column_that_the_policy_names_counts_individuals(world: World, entity: str) -> None:
    sql = f"SELECT channel AS g0, amount AS m0, {entity} AS e0 FROM bank.payments"
    assert refusal(world, sql).data["column"] in ("bank.payments.amount", "bank.payments.account_id")


def test_a_step_without_an_individual_is_refused(world: World) -> None:
    assert refusal(world, SIMPLE, entities=()).data["column"] == "bank.payments.amount"


def test_the_individual_of_another_row_does_not_count(world: World) -> None:
    sql = "SELECT a.channel AS g0, a.amount AS m0, b.account_id AS e0 FROM bank.payments a, bank.payments b"
    assert refusal(world, sql).data["column"] == "bank.payments.amount"


def test_the_individual_of_another_reference_to_one_expression_does_not_count(world: World) -> None:
    sql = (
        "WITH c AS MATERIALIZED (SELECT * FROM bank.payments) "
        "SELECT a.channel AS g0, a.amount AS m0, b.account_id AS e0 FROM c a, c b"
    )
    assert refusal(world, sql).data["column"] == "bank.payments.amount"
    assert all(label.is_free for label in labels(world, sql.replace("b.account_id", "a.account_id")))


def test_the_individual_of_another_dataset_does_not_count(world: World) -> None:
    sql = (
        "SELECT district AS g0, amount AS m0, q.account_id AS e0 FROM bank.payments p JOIN crm.people q "
        "ON p.account_id = q.account_id"
    )
    person = Entity(column="e0", lake="crm", dataset="people")
    assert refusal(world, sql, entities=[person]).data["column"] == "bank.payments.amount"
    assert refusal(world, sql).data["column"] == "bank.payments.amount"


def test_an_individual_that_no_measure_asks_for_is_refused(world: World) -> None:
    sql = SIMPLE.replace("SELECT", "SELECT payment_id AS e1,")
    extra = Entity(column="e1", lake="bank", dataset="payments")
    assert "e1" in refusal(world, sql, entities=[PAYER, extra]).detail


@pytest.mark.parametrize(
    "protection",
    [
        {"groups": ["g9"]},
        {"measures": [("sum", "m9")]},
        {"measures": [("sum", None)]},
        {"entities": [Entity(column="e9", lake="bank", dataset="payments")]},
    ],
)
def test_names_that_are_no_columns_of_the_relation_are_refused(
    world: World, protection: dict[str, Sequence[object]]
) -> None:
    assert refusal(world, SIMPLE, **protection).data["column"] == "an aggregate step"


def test_rows_chosen_by_boundaries_of_two_datasets_need_the_individuals_of_both(world: World) -> None:
    sql = (
        "SELECT district AS g0, amount AS m0, p.account_id AS e0, q.account_id AS e1 FROM bank.payments p "
        "JOIN crm.people q ON p.account_id = q.account_id WHERE amount >= 1000 AND income >= 20000"
    )
    person = Entity(column="e1", lake="crm", dataset="people")
    assert all(label.is_free for label in labels(world, sql, entities=[PAYER, person]))
    assert refusal(world, sql).data["column"] == "crm.people.income"


def test_a_boundary_that_the_rows_do_not_tell_of_is_refused(world: World) -> None:
    relation, names = world.relation(f"{SIMPLE} WHERE amount >= 1000")
    [bound] = relation.bounds
    moved = replace(relation, bounds=(replace(bound, lake="step"),))
    with pytest.raises(PolicyRefused, match="boundary"):
        protected_labels(moved, Protection(groups=["g0"], measures=[], entities=[PAYER]), names)


def test_two_columns_of_one_name_are_refused(world: World) -> None:
    relation, _ = world.relation(SIMPLE)
    with pytest.raises(PolicyRefused, match="one name"):
        protected_labels(relation, Protection(groups=[], measures=[], entities=[]), ["g0", "m0", "g0"])


def test_the_labels_of_a_relation_keep_the_governed_columns_governed(world: World) -> None:
    relation, _ = world.relation(SIMPLE)
    assert [label.policy_class for label in output_labels(relation)] == ["public", "aggregate", "join_key"]


CHOSEN = "SELECT channel AS g0, account_id AS e0 FROM bank.payments WHERE amount >= 1000"


def test_rows_that_a_boundary_chose_may_be_counted_by_the_individuals_of_those_rows(world: World) -> None:
    for label in labels(world, CHOSEN, [("count_star", None)]):
        assert label.policy_class == "public"
        assert [(origin.column, origin.bounded, origin.released) for origin in label.origins] == [
            ("amount", True, True)
        ]


def test_rows_that_a_boundary_chose_are_not_counted_without_their_individuals(world: World) -> None:
    error = refusal(world, CHOSEN, measures=[("count_star", None)], entities=[])
    assert error.data["column"] == "bank.payments.amount"


def test_rows_that_a_boundary_chose_are_not_counted_by_other_rows(world: World) -> None:
    sql = (
        "SELECT q.channel AS g0, q.account_id AS e0 FROM bank.payments p, bank.payments q "
        "WHERE p.payment_id = 7 AND p.amount >= 1000"
    )
    error = refusal(world, sql, measures=[("count_star", None)])
    assert "not read from the same row" in str(error.data["rule"])


def test_a_boundary_inside_a_subquery_cannot_be_counted_outside(world: World) -> None:
    sql = (
        "SELECT q.channel AS g0, q.account_id AS e0 FROM bank.payments q WHERE q.payment_id IN "
        "(SELECT p.payment_id FROM bank.payments p WHERE p.amount >= 1000)"
    )
    error = refusal(world, sql, measures=[("count_star", None)])
    assert error.data["column"] == "bank.payments.amount"


def test_a_group_may_not_say_on_which_side_of_a_boundary_it_lies(world: World) -> None:
    error = refusal(world, "SELECT amount >= 1000 AS g0, amount AS m0, account_id AS e0 FROM bank.payments")
    assert error.data["column"] == "bank.payments.amount"
