"""What a job comes to at the products that it reads."""

from __future__ import annotations

from typing import Literal

import pytest

from datacanal.control.product_usage import Snapshot, StepCounts, amounts_of, estimated, readings
from datacanal.domain.usage import Amounts
from datacanal.protocol.plan import DatasetInput, Estimate, Plan, Step
from datacanal.testing.compiler_fake import plan_at

Kind = Literal["scan", "subtree", "aggregate", "query", "python"]
WHOLE = Snapshot("1.0", 1000)


def reading_step(name: str, kind: Kind, *datasets: str, rows: int = 0, scanned: int = 0) -> Step:
    inputs = [
        DatasetInput(occurrence=f"occ{place}", lake=lake, dataset=dataset, snapshot=f"snp_{dataset}", columns=[])
        for place, (lake, _, dataset) in enumerate(each.partition(".") for each in datasets)
    ]
    estimate = Estimate(rows=rows, bytes=1, scanned_bytes=scanned)
    return Step(id=name, site="core", kind=kind, sql="", inputs=list(inputs), columns=[], estimate=estimate)


def plan_of(*steps: Step) -> Plan:
    return plan_at("core").model_copy(update={"steps": list(steps)})


def test_only_the_lake_of_products_has_products() -> None:
    plan = plan_of(reading_step("s1", "query", "lake.a.b", "products.pub.bars", "products.pub.ticks"))
    assert [(each.product, each.snapshot) for each in readings(plan)] == [
        ("pub.bars", "snp_pub.bars"),
        ("pub.ticks", "snp_pub.ticks"),
    ]
    assert readings(plan_at("core")) == []


@pytest.mark.parametrize(
    ("kinds", "amounts"),
    [
        (["scan"], Amounts(1, 30, 7)),
        (["scan", "scan"], Amounts(1, 60, 14)),
        (["scan"] * 40, Amounts(1, 1000, 280)),
        (["query"], Amounts(1, 1000, 7)),
        (["subtree"], Amounts(1, 1000, 7)),
        (["aggregate"], Amounts(1, 1000, 7)),
        (["python"], Amounts(1, 1000, 7)),
        (["query", "scan"], Amounts(1, 1000, 14)),
    ],
)
def test_a_scan_counts_what_it_gives_and_anything_else_the_whole_product(kinds: list[Kind], amounts: Amounts) -> None:
    steps = [
        reading_step(f"s{place}", kind, "products.pub.bars", rows=30, scanned=7) for place, kind in enumerate(kinds)
    ]
    plan = plan_of(*steps)
    (reading,) = readings(plan)
    assert amounts_of(reading, estimated(plan), WHOLE) == amounts


def test_a_product_that_a_step_reads_twice_counts_once() -> None:
    plan = plan_of(reading_step("s1", "query", "products.pub.bars", "products.pub.bars"))
    (reading,) = readings(plan)
    assert amounts_of(reading, {"s1": StepCounts(5, 9)}, WHOLE) == Amounts(1, 1000, 9)


def test_where_the_snapshot_is_not_known_the_scan_tells() -> None:
    plan = plan_of(reading_step("s1", "scan", "products.pub.bars"))
    (reading,) = readings(plan)
    assert amounts_of(reading, {"s1": StepCounts(5, 9)}, None) == Amounts(1, 5, 9)
