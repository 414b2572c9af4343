"""What a step made, as it comes to the gate: where it goes, what flowed into it, and the row that will keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from datacanal.domain.rounding import rounded
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import DatasetInput, Step
from datacanal.protocol.site import Lease
from datacanal.site.engine.specification import TaskDone
from datacanal.site.gate.passing import Passage
from datacanal.site.gate.protection import Guarded
from datacanal.site.store.egress import Release, Source
from datacanal.site.store.models import OutputRow
from datacanal.site.tasks import guard_file, leaving
from datacanal.site.verifier import VerifiedStep


def passage_of(lease: Lease, verified: VerifiedStep, output: OutputRow) -> Passage:
    """The step's output at the gate."""
    step, file = verified.step, Path(output.path)
    guarded = None
    if step.protection is not None:
        guarded = Guarded(step.protection, step.relation, file, guard_file(file), output.rows)
    return Passage(_release(lease, verified, output), output, verified.authority.issued_s, guarded)


def output_row(
    lease: Lease, step: Step, output_id: str, file: Path, made: TaskDone, now: datetime, expiry_s: float
) -> OutputRow:
    """The row that keeps the output once the gate has let it out."""
    return OutputRow(
        id=output_id,
        job=lease.job,
        step=lease.step,
        plan_digest=lease.plan_digest,
        path=str(file),
        rows=made.rows,
        bytes=made.bytes,
        digest=made.digest,
        scanned_bytes=made.scanned_bytes,
        is_result=lease.is_result,
        columns=json.dumps([column.model_dump(mode="json") for column in step.columns]),
        expires_ms=int((now + timedelta(seconds=expiry_s)).timestamp() * 1000),
        tenant=lease.tenant,
        principal=lease.principal,
    )


def told_rows(step: Step, rows: int, *, exactly: bool) -> int:
    """How many rows the step's output is said to have: a count of governed data is a value of it."""
    return rows if exactly or not any(column.label.is_governed for column in step.columns) else rounded(rows)


def _release(lease: Lease, verified: VerifiedStep, output: OutputRow) -> Release:
    step = verified.step
    return Release(
        tenant=lease.tenant,
        principal=lease.principal,
        purpose=lease.purpose,
        job=lease.job,
        step=lease.step,
        kind=leaving(lease),
        receivers=(lease.principal,) if lease.is_result else tuple(consumer.site for consumer in lease.consumers),
        plan_digest=lease.plan_digest,
        digest=output.digest,
        rows=output.rows,
        bytes=output.bytes,
        columns=tuple(step.columns),
        sources=tuple(_sources(lease, step)),
        fence=lease.fence,
        words="" if verified.python is None else verified.python.words,
    )


def _sources(lease: Lease, step: Step) -> Iterator[Source]:
    """The datasets of this site that flowed into the step, through earlier steps too: their labels say so."""
    snapshots = {
        (item.lake, item.dataset): item.snapshot
        for each in lease.plan.steps
        if each.site == step.site
        for item in each.inputs
        if isinstance(item, DatasetInput)
    }
    read = [column for item in step.inputs if isinstance(item, DatasetInput) for column in item.columns]
    owners = Label().joined(*(column.label for column in (*step.columns, *step.relation, *read))).owners
    for owner in owners:
        if (owner.lake, owner.dataset) in snapshots:
            yield Source(owner.lake, owner.dataset, snapshots[owner.lake, owner.dataset], owner.policy)
