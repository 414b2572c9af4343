"""A kernel runs a gated task only under the labels that follow from its inputs, and only if they may leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from datacanal.domain.errors import LabelsDiffer, PolicyRefused
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import Entity, Measure, PlanColumn, Protection
from datacanal.site.engine.labelling import check_labels
from datacanal.site.engine.specification import CountSource, Task, TaskInput
from datacanal.testing.tasks import NOW

OWNER = Owner(lake="bank", dataset="payments", policy="p1")


def governed(column: str, policy_class: str) -> Label:
    demands = {"entity": "payer", "min_group": 5} if policy_class == "aggregate" else {}
    origin = Origin.model_validate(
        {"lake": "bank", "dataset": "payments", "column": column, "policy_class": policy_class, **demands}
    )
    return Label.model_validate({"policy_class": policy_class, "owners": [OWNER], "origins": [origin]})


PUBLIC = Label(owners=[OWNER])
KEY, AMOUNT, MEMO = governed("payer", "join_key"), governed("amount", "aggregate"), governed("memo", "secret")
COLUMNS = [
    PlanColumn(name="channel", type="VARCHAR", label=PUBLIC),
    PlanColumn(name="payer", type="INTEGER", label=KEY),
    PlanColumn(name="amount", type="DECIMAL(12,2)", label=AMOUNT),
    PlanColumn(name="memo", type="VARCHAR", label=MEMO),
]
PROTECTION = Protection(
    groups=["g0"],
    measures=[Measure(function="sum", column="m0")],
    entities=[Entity(column="e0", lake="bank", dataset="payments")],
)
RELATION = [
    PlanColumn(name="g0", type="VARCHAR", label=PUBLIC),
    PlanColumn(name="m0", type="DECIMAL(12,2)", label=AMOUNT),
    PlanColumn(name="e0", type="INTEGER", label=KEY),
]
GROUPS = "SELECT channel AS g0, amount AS m0, payer AS e0 FROM occ0.bank.payments"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def task(sql: str, labels: Sequence[Label], **fields: object) -> Task:
    given = TaskInput(
        occurrence="occ0", lake="bank", dataset="payments", columns=COLUMNS, source=CountSource(path="none")
    )
    columns = [PlanColumn(name=f"x{number}", type="VARCHAR", label=label) for number, label in enumerate(labels)]
    plain = Task(id="t", sql=sql, now=NOW, inputs=[given], columns=columns, output=str(Path("none")), site="core")
    return plain.model_copy(update=fields)


def test_the_labels_that_follow_are_accepted(connection: duckdb.DuckDBPyConnection) -> None:
    check_labels(connection, task("SELECT channel FROM occ0.bank.payments", [PUBLIC]))


def test_the_names_of_the_inputs_are_free_afterwards(connection: duckdb.DuckDBPyConnection) -> None:
    check_labels(connection, task("SELECT channel FROM occ0.bank.payments", [PUBLIC]))
    connection.execute("ATTACH ':memory:' AS occ0; DETACH occ0")


@pytest.mark.parametrize(
    ("sql", "label"),
    [
        ("SELECT memo FROM occ0.bank.payments", PUBLIC),
        ("SELECT channel FROM occ0.bank.payments WHERE memo = 'x'", PUBLIC),
        ("SELECT channel FROM occ0.bank.payments", Label()),
        ("SELECT channel FROM occ0.bank.payments", MEMO),
        ("SELECT amount FROM occ0.bank.payments", AMOUNT.released()),
    ],
)
def test_other_labels_are_refused_and_only_the_column_is_named(
    connection: duckdb.DuckDBPyConnection, sql: str, label: Label
) -> None:
    with pytest.raises(LabelsDiffer) as refused:
        check_labels(connection, task(sql, [label]))
    assert refused.value.data["site"] == "core"
    assert refused.value.data["columns"] == "'x0'"


def test_another_number_of_columns_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    narrow = task(GROUPS, [PUBLIC, AMOUNT], protection=PROTECTION, relation=RELATION)
    with pytest.raises(LabelsDiffer):
        check_labels(connection, narrow.model_copy(update={"columns": narrow.columns[:1]}))


def test_true_labels_that_may_not_leave_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(PolicyRefused, match="memo"):
        check_labels(connection, task("SELECT memo FROM occ0.bank.payments", [MEMO]))


def test_a_join_key_leaves_to_another_site_and_not_to_the_submitter(connection: duckdb.DuckDBPyConnection) -> None:
    keys = task("SELECT payer FROM occ0.bank.payments", [KEY], leaves_as="transfer")
    check_labels(connection, keys)
    with pytest.raises(PolicyRefused, match="payer"):
        check_labels(connection, keys.model_copy(update={"leaves_as": "result"}))


def test_what_stays_at_the_site_may_be_governed(connection: duckdb.DuckDBPyConnection) -> None:
    check_labels(connection, task("SELECT memo FROM occ0.bank.payments", [MEMO], leaves_as="step"))


def test_rows_that_a_governed_column_chose_may_not_even_be_used_at_the_site(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    sql = "SELECT channel FROM occ0.bank.payments WHERE memo = 'x'"
    with pytest.raises(PolicyRefused, match="memo"):
        check_labels(connection, task(sql, [PUBLIC.joined(MEMO)], leaves_as="step"))


def test_a_statement_that_is_not_the_users_is_not_judged(connection: duckdb.DuckDBPyConnection) -> None:
    check_labels(connection, task("SELECT memo FROM occ0.bank.payments", [PUBLIC], gated=False))


def test_parameters_are_followed_too(connection: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT channel FROM occ0.bank.payments WHERE memo = $m"
    with pytest.raises(LabelsDiffer):
        check_labels(connection, task(sql, [PUBLIC], params={"m": "x"}))


def test_an_aggregate_step_is_judged_by_its_relation_and_by_what_the_gate_leaves(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    passed = PUBLIC.joined(AMOUNT.released())
    check_labels(connection, task(GROUPS, [passed, passed], protection=PROTECTION, relation=RELATION))


def test_a_relation_under_other_labels_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    passed = PUBLIC.joined(AMOUNT.released())
    loosened = [column.model_copy(update={"label": PUBLIC}) for column in RELATION]
    with pytest.raises(LabelsDiffer, match="'m0', 'e0'"):
        check_labels(connection, task(GROUPS, [passed, passed], protection=PROTECTION, relation=loosened))


def test_an_aggregate_step_over_rows_that_a_secret_chose_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    sql = f"{GROUPS} WHERE memo = 'x'"
    relation = [column.model_copy(update={"label": column.label.joined(MEMO)}) for column in RELATION]
    with pytest.raises(PolicyRefused, match="memo"):
        check_labels(connection, task(sql, [PUBLIC, PUBLIC], protection=PROTECTION, relation=relation))
