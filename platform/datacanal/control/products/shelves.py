"""Snapshots that are not kept any more, taken off the store's disk: only what a row says is over, and never early."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.desk import Desk
from datacanal.domain.product import VersionState
from datacanal.products.manifest import snapshot_folder
from datacanal.state.product_models import VersionRow

CLEARED_EVERY_S = 30.0
GRACE_S = 60.0
"""Requests that began before a version was retired may still read it."""
_OVER = (VersionState.RETIRED, VersionState.FAILED)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Shelves:
    """The folders of `store`, kept as the rows say."""

    desk: Desk
    store: Path

    async def run(self) -> None:
        """Clear for as long as the control plane runs."""
        while True:
            await self.clear()
            await asyncio.sleep(CLEARED_EVERY_S)

    async def clear(self) -> None:
        """Delete what is over, and what builders left of versions that are no drafts any more."""
        rows = await self.desk.read(_no_drafts)
        await asyncio.to_thread(self._clear, rows)

    def _clear(self, rows: Sequence[VersionRow]) -> None:
        for row in rows:
            folder = snapshot_folder(self.store, row.product, row.snapshot)
            leftover = folder.with_name(f"{folder.name}.tmp")
            if self._is_over(row) and folder.exists():
                # Away in one step: nobody finds half a snapshot under its name.
                shutil.rmtree(leftover, ignore_errors=True)
                folder.rename(leftover)
                _log.info("snapshot_removed", product=row.product, snapshot=row.snapshot)
            if leftover.exists():
                shutil.rmtree(leftover, ignore_errors=True)

    def _is_over(self, row: VersionRow) -> bool:
        if row.state not in _OVER or row.ended_at is None:
            return False
        return row.ended_at <= self.desk.clock.now() - timedelta(seconds=GRACE_S)


def _no_drafts(session: Session) -> Sequence[VersionRow]:
    return session.scalars(select(VersionRow).where(VersionRow.state != VersionState.DRAFT)).all()
