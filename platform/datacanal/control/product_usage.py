"""What a job comes to at the data products that it reads.

A scan counts the rows that it gives. Whatever else reads a product may have looked at all of its rows, and counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.configuration import PRODUCTS
from datacanal.domain.usage import Amounts
from datacanal.products.manifest import Manifest
from datacanal.protocol.plan import DatasetInput, Plan, Step
from datacanal.protocol.site import Done
from datacanal.state.product_models import VersionRow


@dataclass(frozen=True, slots=True)
class Reading:
    """A product that a plan reads, at that snapshot, in these steps."""

    product: str
    snapshot: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class StepCounts:
    """What a step gave and scanned, or is estimated to."""

    rows: int
    scanned_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Of which version it is, and how many rows it has, where that is known."""

    version: str
    rows: int | None


def readings(plan: Plan) -> list[Reading]:
    """The products that the plan reads, by name."""
    steps: dict[tuple[str, str], list[Step]] = {}
    for step in plan.steps:
        for name in sorted(set(_products(step))):
            steps.setdefault(name, []).append(step)
    return [Reading(product, snapshot, tuple(of)) for (product, snapshot), of in sorted(steps.items())]


def estimated(plan: Plan) -> Mapping[str, StepCounts]:
    """The counts of every step before it runs."""
    return {step.id: StepCounts(step.estimate.rows, step.estimate.scanned_bytes) for step in plan.steps}


def used(plan: Plan, outputs: Mapping[str, Done]) -> Mapping[str, StepCounts]:
    """The counts of every step; one that gave nothing counts nothing."""
    counts = {step: StepCounts(done.rows, done.scanned_bytes) for step, done in outputs.items()}
    return {step.id: counts.get(step.id, StepCounts(0, 0)) for step in plan.steps}


def snapshots_of(session: Session, found: Sequence[Reading]) -> Mapping[str, Snapshot]:
    """What the state store knows of the snapshots that are read."""
    ids = [reading.snapshot for reading in found]
    rows = session.scalars(select(VersionRow).where(VersionRow.snapshot.in_(ids)))
    return {row.snapshot: Snapshot(row.version, _rows(row)) for row in rows}


def amounts_of(reading: Reading, counts: Mapping[str, StepCounts], snapshot: Snapshot | None) -> Amounts:
    """What the reading comes to. No row is counted twice."""
    whole = None if snapshot is None else snapshot.rows
    each = [counts[step.id].rows if step.kind == "scan" else whole or 0 for step in reading.steps]
    read = sum(each) if whole is None else min(sum(each), whole)
    return Amounts(calls=1, rows=read, bytes=sum(counts[step.id].scanned_bytes for step in reading.steps))


def _rows(row: VersionRow) -> int | None:
    return Manifest.model_validate_json(row.manifest).rows if row.manifest is not None else None


def _products(step: Step) -> Iterator[tuple[str, str]]:
    for item in step.inputs:
        if isinstance(item, DatasetInput) and item.lake == PRODUCTS:
            yield item.dataset, item.snapshot
