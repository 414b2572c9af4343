"""The moves of channels, each inside one transaction: to the canary, to stable, back, and out of the way."""

from __future__ import annotations

import json
from collections.abc import Sequence

from datacanal.control.changes import Change
from datacanal.control.products.rows import pointer, pointers, stable, versions
from datacanal.control.signals import version_signal
from datacanal.domain.access import Principal
from datacanal.domain.errors import WrongState
from datacanal.domain.product import VersionMove, VersionState, moved
from datacanal.domain.product_errors import NoVersion
from datacanal.protocol.products import Channel, PromoteRequest
from datacanal.state.product_models import ChannelRow, ProductRow, RestatementRow, VersionRow
from datacanal.state.revisions import grow

_KEPT = (VersionState.HELD, VersionState.STAGED, VersionState.SUPERSEDED)


def move(change: Change, row: VersionRow, by: VersionMove) -> None:
    """Bring the version into its next state. Raises `WrongState`."""
    row.state = moved(VersionState(row.state), by, row.version)
    if row.state in (VersionState.STAGED, VersionState.HELD):
        row.staged_at = row.staged_at or change.clock.now()
    if row.state in (VersionState.RETIRED, VersionState.FAILED):
        row.ended_at = change.clock.now()
    grow(change.session)
    change.wakes.add(version_signal(row.snapshot))


def make_canary(change: Change, by: Principal, product: ProductRow, row: VersionRow, request: PromoteRequest) -> None:
    """Let the share of callers and the groups have the version; another one that they had goes back."""
    if row.state != VersionState.CANARY:
        _withdraw_canary(change, product)
        move(change, row, VersionMove.TRY)
    _point(change, by, product, "canary", row, request.reason, request.share, request.labels)


def make_stable(change: Change, by: Principal, product: ProductRow, row: VersionRow, reason: str | None) -> None:
    """Let everybody have the version. The one before stays reachable by its snapshot."""
    before = stable(change.session, product)
    canary = pointer(change.session, product, "canary")
    if canary is not None and canary.snapshot == row.snapshot:
        _point(change, by, product, "canary", None, reason)
    if before is not None and before.snapshot != row.snapshot:
        move(change, before, VersionMove.SUPERSEDE)
    move(change, row, VersionMove.PROMOTE)
    _point(change, by, product, "stable", row, reason)
    _retire_beyond(change, product)


def roll_back(change: Change, by: Principal, product: ProductRow, to: VersionRow, reason: str | None) -> None:
    """Let everybody have an earlier version again. What was restated since is restated back, and said so."""
    left = stable(change.session, product)
    canary = pointer(change.session, product, "canary")
    if canary is not None and canary.snapshot == to.snapshot:
        _withdraw_canary(change, product)
        _point(change, by, product, "canary", None, reason)
    if left is not None:
        _restate_back(change, by, left, to, reason)
        move(change, left, VersionMove.SUPERSEDE)
    move(change, to, VersionMove.PROMOTE)
    _point(change, by, product, "stable", to, reason)


def close_canary(change: Change, by: Principal, product: ProductRow, reason: str | None) -> None:
    """Nobody gets a canary any more."""
    _withdraw_canary(change, product)
    _point(change, by, product, "canary", None, reason)


def version_before(change: Change, product: ProductRow) -> VersionRow:
    """The version that was stable before the one that is. Raises `NoVersion`."""
    now = stable(change.session, product)
    if now is None:
        raise NoVersion(product=product.name, channel="stable", when="")
    for each in pointers(change.session, product, "stable"):
        row = None if each.snapshot is None else change.session.get_one(VersionRow, each.snapshot)
        is_earlier = row is not None and (row.major, row.minor) < (now.major, now.minor)
        if row is not None and is_earlier and row.state == VersionState.SUPERSEDED:
            return row
    raise NoVersion(product=product.name, channel="earlier stable", when=" that is kept")


def check_was_stable(change: Change, product: ProductRow, row: VersionRow) -> None:
    """Raise `WrongState` unless readers had the version before, and have another one now."""
    was = row.snapshot in {each.snapshot for each in pointers(change.session, product, "stable")}
    if not was or row.state == VersionState.STABLE:
        hint = "Choose one that was stable before, or promote this one."
        raise WrongState(what=f"version {row.version}", state=row.state, action="be rolled back to", hint=hint)


def _withdraw_canary(change: Change, product: ProductRow) -> None:
    canary = pointer(change.session, product, "canary")
    if canary is not None:
        move(change, change.session.get_one(VersionRow, canary.snapshot), VersionMove.WITHDRAW)


def _point(
    change: Change,
    by: Principal,
    product: ProductRow,
    channel: Channel,
    to: VersionRow | None,
    reason: str | None,
    share: float = 0.0,
    labels: Sequence[str] = (),
) -> None:
    change.session.add(
        ChannelRow(
            tenant=product.tenant,
            principal=by.name,
            product=product.name,
            channel=channel,
            snapshot=None if to is None else to.snapshot,
            share=share,
            labels=json.dumps(list(labels), ensure_ascii=False),
            reason=reason,
            at=change.clock.now(),
        )
    )
    change.session.flush()
    grow(change.session)


def _restate_back(change: Change, by: Principal, left: VersionRow, to: VersionRow, reason: str | None) -> None:
    """Only where the two followed one another is it known what differs."""
    forward = (
        change.session.query(RestatementRow).filter_by(old_snapshot=to.snapshot, new_snapshot=left.snapshot).first()
    )
    if forward is not None:
        change.session.add(
            RestatementRow(
                tenant=forward.tenant,
                principal=by.name,
                product=forward.product,
                old_snapshot=left.snapshot,
                new_snapshot=to.snapshot,
                sessions=forward.sessions,
                keys=forward.keys,
                rows=forward.rows,
                reason=f"rolled back from {left.version}" + (f": {reason}" if reason else ""),
                at=change.clock.now(),
            )
        )


def _retire_beyond(change: Change, product: ProductRow) -> None:
    """Of the versions that no channel points at, the newest `keep` stay."""
    kept = [row for row in versions(change.session, product) if row.state in _KEPT]
    for row in kept[product.keep :]:
        move(change, row, VersionMove.RETIRE)
