"""Rows of products and versions as documents."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from datacanal.control.products.rows import pointer, stable, versions
from datacanal.products.manifest import Manifest
from datacanal.protocol.problem import Problem
from datacanal.protocol.products import (
    Channel,
    ChannelView,
    Consent,
    Contract,
    Lineage,
    ProductSummary,
    ProductView,
    Report,
    Restatement,
    Sample,
    VersionView,
)
from datacanal.state.product_models import ChannelRow, ConsentRow, ProductRow, RestatementRow, VersionRow

_CHANNELS: tuple[Channel, ...] = ("stable", "canary")


def product_view(session: Session, row: ProductRow) -> ProductView:
    """The product with where its channels point."""
    found = [view for channel in _CHANNELS if (view := _channel(session, row, channel)) is not None]
    return ProductView(
        name=row.name,
        title=row.title,
        description=row.description,
        owner=row.principal,
        contract=Contract.model_validate_json(row.contract),
        visibility=row.visibility,
        readers=json.loads(row.readers),
        sample=Sample.model_validate_json(row.sample),
        keep=row.keep,
        created_at=row.created_at,
        retired_at=row.retired_at,
        channels=found,
        versions=len(versions(session, row)),
    )


def _channel(session: Session, row: ProductRow, channel: Channel) -> ChannelView | None:
    points: ChannelRow | None = pointer(session, row, channel)
    if points is None or points.snapshot is None:
        return None
    return ChannelView(
        channel=channel,
        version=session.get_one(VersionRow, points.snapshot).version,
        snapshot=points.snapshot,
        since=points.at,
        share=points.share,
        labels=json.loads(points.labels),
    )


def product_summary(session: Session, row: ProductRow) -> ProductSummary:
    """A line of the list."""
    points, released = pointer(session, row, "stable"), stable(session, row)
    manifest = None if released is None else manifest_of(released)
    return ProductSummary(
        name=row.name,
        title=row.title,
        owner=row.principal,
        visibility=row.visibility,
        stable=None if released is None else released.version,
        rows=None if manifest is None else manifest.rows,
        published_at=None if points is None else points.at,
        retired_at=row.retired_at,
    )


def version_view(session: Session, row: VersionRow, progress: str | None = None) -> VersionView:
    """All that is known of a version."""
    manifest = manifest_of(row)
    return VersionView(
        product=row.product,
        version=row.version,
        snapshot=row.snapshot,
        state=row.state,
        rows=None if manifest is None else manifest.rows,
        bytes=None if manifest is None else sum(layout.bytes for layout in manifest.layouts),
        created_at=row.created_at,
        staged_at=row.staged_at,
        lineage=Lineage.model_validate_json(row.lineage),
        report=report_of(row),
        consents=consents_of(session, row),
        restatements=_restatements(session, row),
        problem=None if row.problem is None else Problem.model_validate_json(row.problem),
        reason=row.reason,
        progress=progress,
    )


def manifest_of(row: VersionRow) -> Manifest | None:
    """None before the snapshot is made."""
    return None if row.manifest is None else Manifest.model_validate_json(row.manifest)


def report_of(row: VersionRow) -> Report | None:
    """None before the checks were made."""
    return None if row.report is None else Report.model_validate_json(row.report)


def consents_of(session: Session, row: VersionRow) -> list[Consent]:
    """What the owners answered."""
    of_version = select(ConsentRow).where(ConsentRow.snapshot == row.snapshot)
    found: Sequence[ConsentRow] = session.scalars(of_version.order_by(ConsentRow.lake, ConsentRow.dataset)).all()
    return [
        Consent(
            site=each.site,
            lake=each.lake,
            dataset=each.dataset,
            decision=each.decision,
            reason=each.reason,
            policy_digest=each.policy_digest,
            seq=each.seq,
            hash=each.hash,
            at=each.at,
        )
        for each in found
    ]


def _restatements(session: Session, row: VersionRow) -> list[Restatement]:
    """Those that this version is one side of."""
    its_own = or_(RestatementRow.old_snapshot == row.snapshot, RestatementRow.new_snapshot == row.snapshot)
    return [
        Restatement(
            old_version=session.get_one(VersionRow, each.old_snapshot).version,
            old_snapshot=each.old_snapshot,
            new_version=session.get_one(VersionRow, each.new_snapshot).version,
            new_snapshot=each.new_snapshot,
            sessions=json.loads(each.sessions),
            keys=each.keys,
            rows=each.rows,
            reason=each.reason,
            at=each.at,
        )
        for each in session.scalars(select(RestatementRow).where(its_own).order_by(RestatementRow.id))
    ]
