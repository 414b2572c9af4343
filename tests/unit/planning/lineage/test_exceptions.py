"""The two uses of a governed column that pass less than its label on, and everything beside them that does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.policy.world import World

KEYS = "SELECT payment_id FROM bank.payments p {} crm.people q ON {}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def governed(world: World, sql: str, **params: object) -> set[str]:
    """The governed columns that decide about rows."""
    origins = world.relation(sql, params)[0].shape.origins
    return {f"{each.dataset}.{each.column}" for each in origins if not each.bounded}


def bounded(world: World, sql: str, **params: object) -> set[str]:
    """The governed columns that decide about rows only by the side of a boundary on which they lie."""
    relation = world.relation(sql, params)[0]
    origins = {f"{each.dataset}.{each.column}" for each in relation.shape.origins if each.bounded}
    assert origins == {f"{each.dataset}.{each.column}" for each in relation.bounds}
    return origins


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"])
def test_keys_of_two_datasets_may_be_set_equal_in_any_join(world: World, kind: str) -> None:
    assert governed(world, KEYS.format(kind, "p.account_id = q.account_id")) == set()


def test_keys_may_be_set_equal_in_where(world: World) -> None:
    sql = "SELECT payment_id FROM bank.payments p, crm.people q WHERE settled AND q.account_id = p.account_id"
    assert governed(world, sql) == set()


@pytest.mark.parametrize(
    "condition",
    [
        "EXISTS (SELECT 1 FROM crm.people q WHERE q.account_id = p.account_id AND tier = 'gold')",
        "NOT EXISTS (SELECT 1 FROM crm.people q WHERE q.account_id = p.account_id)",
        "account_id IN (SELECT account_id FROM crm.people)",
        "account_id NOT IN (SELECT account_id FROM crm.people)",
        "account_id IS NOT NULL",
        "account_id = account_id",
        "payment_id > (SELECT avg(payment_id) FROM bank.payments) "
        "AND EXISTS (FROM crm.people q WHERE q.account_id = p.account_id)",
    ],
)
def test_a_subquery_may_set_keys_equal(world: World, condition: str) -> None:
    assert governed(world, f"SELECT payment_id FROM bank.payments p WHERE {condition}") == set()


def test_a_key_in_a_wider_integer_is_still_the_key(world: World) -> None:
    sql = "SELECT branch FROM bank.accounts a JOIN crm.people q ON a.account_id = q.account_id::HUGEINT"
    assert governed(world, sql) == set()


def test_keys_through_subqueries_and_common_table_expressions_are_still_the_keys(world: World) -> None:
    sql = (
        "WITH p AS MATERIALIZED (SELECT payment_id, account_id AS k FROM bank.payments ORDER BY payment_id LIMIT 9) "
        "SELECT payment_id FROM p JOIN (SELECT DISTINCT ON (district) account_id FROM crm.people) q ON k = q.account_id"
    )
    assert governed(world, sql) == set()


@pytest.mark.parametrize(
    "condition",
    [
        "p.account_id = q.account_id + 0",
        "p.account_id::SMALLINT = q.account_id",
        "p.account_id::VARCHAR = q.account_id::VARCHAR",
        "p.account_id = q.account_id OR settled",
        "NOT p.account_id <> q.account_id",
        "p.account_id >= q.account_id",
        "p.account_id = q.born",
        "p.payment_id = q.account_id",
        "p.account_id = q.income",
        "p.account_id = 42",
        "p.account_id IS NULL",
        "p.account_id IS DISTINCT FROM q.account_id",
        "hash(p.account_id) = hash(q.account_id)",
    ],
)
def test_any_other_condition_over_a_key_counts(world: World, condition: str) -> None:
    assert governed(world, KEYS.format("JOIN", condition)) & {"payments.account_id", "people.account_id"}


def test_another_column_set_equal_to_itself_is_no_exception(world: World) -> None:
    assert governed(world, "SELECT payment_id FROM bank.payments WHERE memo = memo") == {"payments.memo"}


def test_keys_of_one_dataset_are_no_exception(world: World) -> None:
    sql = "SELECT a.payment_id FROM bank.payments a JOIN bank.payments b ON a.account_id = b.account_id"
    assert governed(world, sql) == {"payments.account_id"}


@pytest.mark.parametrize(
    "source", ["(VALUES (42)) v(k)", "range(99) v(k)", "(SELECT payment_id AS k FROM bank.payments) v"]
)
def test_a_key_may_not_be_set_equal_to_what_is_no_key(world: World, source: str) -> None:
    assert governed(world, f"SELECT district FROM crm.people JOIN {source} ON account_id = k") == {"people.account_id"}


def test_a_key_that_passed_a_set_operation_is_no_longer_the_key(world: World) -> None:
    sql = (
        "SELECT district FROM crm.people q JOIN "
        "(SELECT account_id FROM bank.payments UNION ALL SELECT account_id FROM bank.accounts) k USING (account_id)"
    )
    assert governed(world, sql) == {"people.account_id", "payments.account_id", "accounts.account_id"}


def test_an_asof_join_is_no_equality(world: World) -> None:
    sql = (
        "SELECT payment_id FROM bank.payments p ASOF JOIN crm.people q "
        "ON p.account_id = q.account_id AND p.payment_id >= q.born"
    )
    assert governed(world, sql) == {"people.account_id", "payments.account_id"}


@pytest.mark.parametrize(
    "condition",
    [
        "amount >= 1000",
        "amount > 1000.0",
        "amount < 10000",
        "amount <= 0",
        "1000 < amount",
        "amount BETWEEN 1000 AND 10000",
        "amount >= 1000 AND (settled OR payment_id = 7)",
        "amount >= '1000'::DECIMAL(12, 2)",
        "amount >= $limit",
    ],
)
def test_an_aggregate_column_may_be_compared_with_a_boundary(world: World, condition: str) -> None:
    params = {"limit": 1000} if "$" in condition else {}
    expected: set[str] = {"payments.amount"} if "'1000'" in condition else set()
    sql = f"SELECT payment_id FROM bank.payments WHERE {condition}"
    assert governed(world, sql, **params) == expected
    assert bounded(world, sql, **params) == {"payments.amount"} - expected


def test_rows_that_a_boundary_chose_are_not_free(world: World) -> None:
    relation, _ = world.relation("SELECT payment_id FROM bank.payments WHERE amount >= 1000")
    assert relation.shape.policy_class == "aggregate"


@pytest.mark.parametrize(
    "condition",
    [
        "amount = 1000",
        "amount <> 1000",
        "amount >= 999",
        "amount >= 1000.01",
        "amount >= payment_id",
        "amount + 0 >= 1000",
        "amount::INTEGER >= 1000",
        "amount >= 1000::DOUBLE",
        "amount >= 1e3",
        "amount >= 500 + 500",
        "amount >= NULL",
        "amount >= 1000 OR settled",
        "NOT amount >= 1000",
        "amount NOT BETWEEN 1000 AND 10000",
        "amount >= amount",
        "amount IS NOT NULL",
    ],
)
def test_any_other_condition_over_an_aggregate_column_counts(world: World, condition: str) -> None:
    assert governed(world, f"SELECT payment_id FROM bank.payments WHERE {condition}") == {"payments.amount"}


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        ("joined_on >= DATE '2020-01-01'", False),
        ("joined_on >= '2020-01-01'", False),
        ("joined_on >= TIMESTAMP '2020-01-01 00:00:00'", True),
        ("joined_on >= DATE '2020-1-1'", True),
        ("joined_on >= DATE '2020-01-02'", True),
        ("income >= 20000", False),
        ("income >= 20000::BIGINT", False),
        ("income >= 20000::DOUBLE", True),
        ("income >= 20000.0", True),
        ("income >= 20000.4::INTEGER", True),
    ],
)
def test_boundaries_are_compared_by_value_and_type(world: World, condition: str, counts: bool) -> None:
    column = condition.partition(" ")[0]
    found = governed(world, f"SELECT district FROM crm.people WHERE {condition}")
    assert found == ({f"people.{column}"} if counts else set())


def test_a_secret_has_no_exception(world: World) -> None:
    sql = "SELECT payment_id FROM bank.payments p JOIN crm.people q ON p.memo = q.name WHERE p.score >= 1000"
    assert governed(world, sql) == {"payments.memo", "people.name", "payments.score"}
