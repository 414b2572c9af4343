"""Snapshots and footers, kept so that a restart reads nothing twice and a planned job finds its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from datacanal.protocol.catalogue import Snapshot
from datacanal.site.lakes.footers import Footer
from datacanal.site.lakes.snapshots import FooterCache
from datacanal.site.store.models import SITE_ITSELF, FooterRow, SnapshotRow


class CatalogueStore:
    """What the site knows of its lakes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save_snapshot(self, snapshot: Snapshot, now_ms: int) -> None:
        """Keep the snapshot, with its newest statistics."""
        with Session(self._engine) as session, session.begin():
            session.merge(
                SnapshotRow(
                    id=snapshot.id,
                    lake=snapshot.lake,
                    dataset=snapshot.dataset,
                    document=snapshot.model_dump_json(),
                    seen_ms=now_ms,
                    **SITE_ITSELF,
                )
            )

    def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """The snapshot of that id, if it is still kept."""
        with Session(self._engine) as session, session.begin():
            row = session.get(SnapshotRow, snapshot_id)
            return None if row is None else Snapshot.model_validate_json(row.document)

    def prune_snapshots(self, current: Sequence[str], now_ms: int, before_ms: int) -> None:
        """Note that these are current now, and forget those that last were before the instant."""
        with Session(self._engine) as session, session.begin():
            session.execute(update(SnapshotRow).where(SnapshotRow.id.in_(current)).values(seen_ms=now_ms))
            session.execute(delete(SnapshotRow).where(SnapshotRow.seen_ms < before_ms))

    def footers(self, lake: str) -> FooterCache:
        """Every footer kept for the lake."""
        with Session(self._engine) as session, session.begin():
            rows = session.scalars(select(FooterRow).where(FooterRow.lake == lake))
            return {(row.path, row.etag): Footer.model_validate_json(row.document) for row in rows}

    def save_footers(self, lake: str, new: FooterCache, gone: Iterable[tuple[str, str]]) -> None:
        """Keep new footers and forget those of files that are gone."""
        with Session(self._engine) as session, session.begin():
            for (path, etag), footer in new.items():
                document = footer.model_dump_json()
                session.merge(FooterRow(lake=lake, path=path, etag=etag, document=document, **SITE_ITSELF))
            for path, etag in gone:
                key = (FooterRow.lake == lake, FooterRow.path == path, FooterRow.etag == etag)
                session.execute(delete(FooterRow).where(*key))
