"""One release to stable, inside its transaction: what was found out before it is judged and written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from datacanal.control.changes import Change
from datacanal.control.products.judging import unaccepted
from datacanal.control.products.pointing import close_canary, make_stable, move
from datacanal.domain.access import Principal
from datacanal.domain.product import VersionMove, VersionState
from datacanal.products.building.orders import Comparison
from datacanal.protocol.products import Report
from datacanal.state.product_models import ProductRow, RestatementRow, VersionRow


@dataclass(frozen=True)
class Findings:
    """The version's report with the replay in it, and what differs from `before`, the version that is stable."""

    before: VersionRow | None
    report: Report
    differs: Comparison | None


@dataclass(frozen=True)
class Accepted:
    """Which held checks the publisher lets pass, and why."""

    checks: Sequence[str] = ()
    reason: str | None = None


def release(
    change: Change, by: Principal, product: ProductRow, row: VersionRow, findings: Findings, accepted: Accepted
) -> bool:
    """Make the version stable, or hold it where its report does; True where it is stable now."""
    row.report = findings.report.model_dump_json()
    if unaccepted(findings.report, accepted.checks):
        _hold(change, by, product, row)
        return False
    if row.state == VersionState.HELD:
        move(change, row, VersionMove.ACCEPT)
    row.reason = accepted.reason or row.reason
    make_stable(change, by, product, row, accepted.reason)
    _restate(change, by, row, findings, accepted)
    return True


def _hold(change: Change, by: Principal, product: ProductRow, row: VersionRow) -> None:
    if row.state == VersionState.CANARY:
        close_canary(change, by, product, "its contract holds it")
    if row.state == VersionState.STAGED:
        move(change, row, VersionMove.HOLD)


def _restate(change: Change, by: Principal, row: VersionRow, findings: Findings, accepted: Accepted) -> None:
    """Announce the sessions whose values are not any more what readers were given."""
    before, differs = findings.before, findings.differs
    if before is None or differs is None or not differs.diff.sessions:
        return
    change.session.add(
        RestatementRow(
            tenant=row.tenant,
            principal=by.name,
            product=row.product,
            old_snapshot=before.snapshot,
            new_snapshot=row.snapshot,
            sessions=json.dumps(differs.diff.sessions, ensure_ascii=False),
            keys=differs.keys,
            rows=differs.rows,
            reason=accepted.reason or f"version {row.version} took the place of {before.version}",
            at=change.clock.now(),
        )
    )
