"""An ended job as the book has it: one event of what it used, and one for each data product that it read."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.costs import costs_of, receipt_of
from datacanal.control.product_usage import Snapshot, amounts_of, readings, snapshots_of, used
from datacanal.domain.job import JobState
from datacanal.domain.usage import Amounts, Dimension, EventKind, Outcome, Terms, internal_terms, job_request
from datacanal.ledger.book import Draft
from datacanal.protocol.plan import Plan
from datacanal.protocol.site import Done
from datacanal.state.models import AttemptRow, JobRow


@dataclass(frozen=True, slots=True)
class ProductUsage:
    """What a job that succeeded came to at a product."""

    product: str
    snapshot: str
    version: str | None
    query: str
    amounts: Amounts

    def event(self, receipt: str, job: Draft, terms: Terms) -> Draft:
        """The event under those terms, beside the job's own."""
        return Draft(
            id=receipt,
            kind=EventKind.USAGE,
            outcome=Outcome.COMPLETE,
            tenant=job.tenant,
            principal=job.principal,
            account_id=terms.account,
            request_id=f"{job.request_id}:{self.product}",
            reserved_at=job.reserved_at,
            unit=terms.unit.value,
            subscription_id=terms.subscription,
            product=self.product,
            version=self.version,
            snapshot=self.snapshot,
            query_digest=self.query,
            tariff_id=terms.tariff,
            calls=self.amounts.calls,
            rows=self.amounts.rows,
            bytes=self.amounts.bytes,
            units=self.amounts.of(terms.unit),
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """A job's own event, and what it read of products; nothing where it gave no result."""

    id: str
    event: Draft
    products: tuple[ProductUsage, ...]


def ended_job(session: Session, row: JobRow) -> Ended:
    """What is to be written of it."""
    plan = Plan.model_validate_json(row.plan) if row.plan else None
    answered = plan if row.state == JobState.SUCCEEDED else None
    return Ended(row.id, _event(session, row, plan), _products(session, row, answered) if answered else ())


def _event(session: Session, row: JobRow, plan: Plan | None) -> Draft:
    attempts = session.scalars(select(AttemptRow).where(AttemptRow.job_id == row.id)).all()
    costs = costs_of(plan, attempts)
    return Draft(
        id=receipt_of(row.id),
        kind=EventKind.JOB,
        outcome=Outcome.COMPLETE if row.state == JobState.SUCCEEDED else Outcome.ABORTED,
        tenant=row.tenant,
        principal=row.principal,
        account_id=internal_terms(row.tenant, row.principal, "").account,
        request_id=job_request(row.id),
        reserved_at=row.submitted_at,
        unit=Dimension.CALLS.value,
        scan_bytes=costs.scan_bytes,
        egress_bytes=costs.egress_bytes,
        worker_ms=costs.worker_ms,
    )


def _products(session: Session, row: JobRow, plan: Plan) -> tuple[ProductUsage, ...]:
    found = readings(plan)
    outputs = {step.id: Done.model_validate_json(step.output) for step in row.steps if found and step.output}
    counts = used(plan, outputs)
    snapshots = snapshots_of(session, found)
    return tuple(
        ProductUsage(
            product=reading.product,
            snapshot=reading.snapshot,
            version=_version(snapshots.get(reading.snapshot)),
            query=plan.digest,
            amounts=amounts_of(reading, counts, snapshots.get(reading.snapshot)),
        )
        for reading in found
    )


def _version(snapshot: Snapshot | None) -> str | None:
    return None if snapshot is None else snapshot.version
