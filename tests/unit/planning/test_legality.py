"""Legal plans first: what may travel where, labels on every step, and who may read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.unit.planning.conftest import label_of

from datacanal.domain.errors import NotAReader, PolicyRefused
from datacanal.planning.binding import BindRequest, Question
from datacanal.planning.compiler import bind_statement, compile_statement
from datacanal.planning.labelling import bare_columns, catalogued_tables, labelled, traced
from datacanal.planning.layout import Surveyor
from datacanal.planning.names import Occurrence
from datacanal.planning.pieces import Workbench
from datacanal.planning.rules import Rules
from datacanal.planning.shipments import bound_table
from datacanal.protocol.plan import DatasetInput, TransferInput
from datacanal.testing.comparator import assert_same

NOW = "2026-03-04T05:06:07+00:00"
BOUND_TO_CORE = (
    "SELECT q.tier, count(*) FROM people AS q JOIN payments AS p USING (account_id) WHERE p.amount >= 10 GROUP BY 1"
)


def test_a_site_that_may_not_see_a_column_is_no_meeting_even_if_it_is_cheaper(governed: Any) -> None:
    sql = f"{BOUND_TO_CORE} HAVING count(*) > 0"
    plan = governed.plan(sql)
    assert plan.meeting.site == "core"
    assert plan.meeting.reason == "no other site may see what it would have to"
    assert [(other.choice, other.reason) for other in plan.meeting.alternatives] == [
        ("edge", "transactions.payments.amount may not leave its site")
    ]
    assert_same(governed.answer(sql), governed.expected(sql))


def test_every_step_and_input_carries_labels(governed: Any) -> None:
    plan = governed.plan("SELECT q.tier, p.channel FROM people AS q JOIN payments AS p USING (account_id)")
    scan, query = plan.steps
    shipped = {column.name: column.label.policy_class for column in scan.columns}
    assert shipped == {"account_id": "join_key", "tier": "public"}
    for read in (each for step in plan.steps for each in step.inputs if isinstance(each, DatasetInput)):
        assert [c.label for c in read.columns] == [label_of(read.lake, read.dataset, c.name) for c in read.columns]
    [arriving] = [each for each in query.inputs if isinstance(each, TransferInput)]
    assert arriving.shipped == scan.columns
    assert {c.name: c.label.policy_class for c in arriving.columns if c.label.owners} == shipped
    assert [owner.dataset for owner in query.columns[0].label.owners] == ["payments", "people"]


def test_columns_that_did_not_travel_have_no_label(governed: Any) -> None:
    plan = governed.plan("SELECT q.tier FROM people AS q JOIN payments AS p USING (account_id)")
    [arriving] = [each for each in plan.step("query").inputs if isinstance(each, TransferInput)]
    left = [c for c in arriving.columns if c.name not in {shipped.name for shipped in arriving.shipped}]
    assert left
    assert all(column.label.policy_class == "public" and not column.label.owners for column in left)


@pytest.mark.parametrize("positions", [(), (0,), (1, 3)])
def test_the_labels_of_a_plain_scan_are_those_of_lineage(governed: Any, positions: tuple[int, ...]) -> None:
    dataset = governed.catalogue.named("payments")[0]
    occurrence = Occurrence("occ0", dataset)
    names = ", ".join(f'"{dataset.columns[position].name}"' for position in positions) or "count(*) AS rows"
    request = BindRequest(
        tables=[bound_table(occurrence)],
        questions=[Question(sql=f"SELECT {names} FROM occ0.transactions.payments", lineage=True)],
        now=NOW,
        prefix="cx",
    )
    [binding] = governed.binder.bind(request)
    assert labelled(binding, traced(binding, catalogued_tables([occurrence]))) == bare_columns(dataset, positions)


def test_a_filter_that_alone_makes_a_scan_illegal_stays_behind(governed: Any) -> None:
    sql = "SELECT q.tier, p.payment_id FROM people AS q JOIN payments AS p USING (account_id) WHERE q.account_id = 4"
    piece = bind_statement(sql, {}, governed.catalogue, governed.binder, NOW)
    bench = Workbench(governed.binder, {}, piece.prefix, NOW, piece.occurrences)
    layout = Surveyor(bench, governed.catalogue, Rules()).lay_out(piece)
    [parcel] = layout.parcels
    assert "WHERE" not in parcel.sql
    assert [c.label.policy_class for c in parcel.columns if c.name == "account_id"] == ["join_key"]


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT name FROM people", "users.people.name"),
        ("FROM people", "users.people.name"),
        ("SELECT tier FROM people ORDER BY income", "users.people.income"),
        ("SELECT tier FROM people WHERE length(name) > 3", "users.people.name"),
        ("SELECT account_id FROM payments", "transactions.payments.account_id"),
        (
            "SELECT p.channel FROM payments AS p JOIN people AS q ON p.payment_id = q.account_id",
            "users.people.account_id",
        ),
        ("SELECT count(DISTINCT account_id) FROM payments", "transactions.payments.account_id"),
    ],
)
def test_what_may_not_be_seen_is_refused_before_sites_are_looked_at(governed: Any, sql: str, column: str) -> None:
    with pytest.raises(PolicyRefused) as refusal:
        governed.plan(sql)
    assert refusal.value.data["column"] == column


def test_a_dataset_that_is_closed_to_the_submitter_is_named(governed: Any) -> None:
    datasets = [
        dataclasses.replace(d, closed="no group of theirs") for d in governed.catalogue.datasets if d.name == "rates"
    ]
    catalogue = dataclasses.replace(governed.catalogue, datasets=tuple(datasets), principal="ada")
    with pytest.raises(NotAReader) as refusal:
        compile_statement("SELECT 1 FROM rates", {}, catalogue, governed.binder, NOW)
    assert refusal.value.data == {"principal": "ada", "dataset": "users.rates", "reason": "no group of theirs"}
