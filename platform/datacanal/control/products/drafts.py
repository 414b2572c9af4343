"""Drafts in the store: read with what belongs to them, and brought to their ends, each in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from datacanal.control.changes import Change
from datacanal.control.products.judging import held
from datacanal.control.products.pointing import move
from datacanal.control.products.releasing import Accepted, Findings, release
from datacanal.control.products.rows import stable, yardstick
from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError
from datacanal.domain.product import VersionMove, VersionState
from datacanal.domain.product_errors import PublishApprovalNeeded, PublishRefused
from datacanal.products.manifest import Manifest
from datacanal.protocol.problem import problem_of
from datacanal.protocol.products import Consent
from datacanal.state.models import JobRow
from datacanal.state.product_models import ConsentRow, ProductRow, VersionRow


class Overtaken(Exception):
    """Another version became stable while this one was checked against its predecessor: it is looked at again."""


@dataclass(frozen=True)
class Draft:
    """A draft with what belongs to it."""

    row: VersionRow
    product: ProductRow
    job: JobRow
    stable: VersionRow | None
    yardstick: VersionRow | None

    @property
    def publisher(self) -> Principal:
        """Who published it, with the rights of then."""
        return Principal(self.row.tenant, self.row.principal, self.row.role, tuple(json.loads(self.row.groups)))


def find_drafts(session: Session) -> Sequence[str]:
    """The snapshots of all drafts, the oldest first."""
    oldest = select(VersionRow.snapshot).where(VersionRow.state == VersionState.DRAFT).order_by(VersionRow.created_at)
    return session.scalars(oldest).all()


def read_draft(session: Session, snapshot: str) -> Draft:
    """The draft of that snapshot."""
    row = session.get_one(VersionRow, snapshot)
    product = session.get_one(ProductRow, (row.tenant, row.product))
    job = session.get_one(JobRow, row.job_id, options=[undefer(JobRow.python)])
    return Draft(row, product, job, stable(session, product), yardstick(session, product, row))


def fail(change: Change, snapshot: str, error: DatacanalError) -> None:
    """The draft came to nothing, for that reason."""
    row = change.session.get_one(VersionRow, snapshot)
    row.problem = problem_of(error).model_dump_json()
    move(change, row, VersionMove.FAIL)


def note_consents(change: Change, snapshot: str, consents: Sequence[Consent]) -> None:
    """Keep what the owners answered, in place of what they did before a restart."""
    row = change.session.get_one(VersionRow, snapshot)
    for consent in consents:
        change.session.merge(
            ConsentRow(
                tenant=row.tenant,
                principal=row.principal,
                snapshot=snapshot,
                lake=consent.lake,
                dataset=consent.dataset,
                site=consent.site,
                decision=consent.decision,
                reason=consent.reason,
                policy_digest=consent.policy_digest,
                seq=consent.seq,
                hash=consent.hash,
                at=consent.at or change.clock.now(),
            )
        )


def check_consents(product: str, consents: Sequence[Consent]) -> None:
    """Raise `PublishRefused`, or `PublishApprovalNeeded` where nobody refuses and a steward has not answered yet."""
    for consent in consents:
        if consent.decision == "refused":
            dataset = f"{consent.lake}.{consent.dataset}"
            raise PublishRefused(site=consent.site, dataset=dataset, reason=consent.reason)
    waiting = [consent for consent in consents if consent.decision == "waiting"]
    if waiting:
        dataset = ", ".join(f"{consent.lake}.{consent.dataset}" for consent in waiting)
        raise PublishApprovalNeeded(site=waiting[0].site, product=product, dataset=dataset)


def settle(change: Change, draft: Draft, manifest: Manifest, findings: Findings) -> None:
    """Staged or held, and stable at once where that was asked for. Raises `Overtaken`."""
    row = change.session.get_one(VersionRow, draft.row.snapshot)
    product = change.session.get_one(ProductRow, (row.tenant, row.product))
    now = stable(change.session, product)
    if row.promote != draft.row.promote or (now and now.snapshot) != (draft.stable and draft.stable.snapshot):
        raise Overtaken
    row.manifest = manifest.model_dump_json()
    row.report = findings.report.model_dump_json()
    move(change, row, VersionMove.HOLD if held(findings.report) else VersionMove.STAGE)
    if row.promote and row.state == VersionState.STAGED:
        release(change, draft.publisher, product, row, findings, Accepted())
