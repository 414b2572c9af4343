"""Versions: a succeeded job becomes a draft at once; what is known of it, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.products.catalogue import check_columns
from datacanal.control.products.lineage import lineage_of, plan_of
from datacanal.control.products.ports import Workshop
from datacanal.control.products.rows import living, owned, version, versions
from datacanal.control.products.views import version_view
from datacanal.control.signals import DRAFTS, version_signal
from datacanal.domain.access import Principal, sees_job
from datacanal.domain.errors import NotFound, ResultExpired, WrongState
from datacanal.domain.job import JobState
from datacanal.domain.product import VersionState
from datacanal.domain.product_errors import SnapshotGone
from datacanal.products.manifest import snapshot_folder
from datacanal.protocol.products import Contract, PublishRequest, VersionDiff, VersionList, VersionView
from datacanal.state.models import JobRow
from datacanal.state.product_models import ProductRow, VersionRow
from datacanal.state.revisions import grow

_NOT_THERE = frozenset({VersionState.DRAFT, VersionState.FAILED, VersionState.RETIRED})
_AT_ITS_END = frozenset({VersionState.FAILED, VersionState.RETIRED})


@dataclass(frozen=True)
class VersionBook:
    """Every method acts for a principal. `progress` says what a draft (by its snapshot) is at."""

    desk: Desk
    store: Path
    workshop: Workshop
    progress: Callable[[str], str | None]

    async def publish(
        self, publisher: Principal, product: str, request: PublishRequest, schedule: str | None = None
    ) -> tuple[VersionView, bool]:
        """A draft of the job's result, True where it is new: the same job twice is the same version.

        Raises `NotFound`, `Forbidden`, `ProductRetired`, `WrongState`, `ResultExpired`, `BadField`.
        """

        def draft(change: Change) -> tuple[VersionView, bool]:
            row = living(change.session, publisher, product)
            job = publishable(change.session, publisher, request.job, change.clock.now())
            known = _known(change.session, row, job)
            if known is not None:
                known.promote = known.promote or request.promote
                return self._view(change.session, known), False
            made = _draft(change, publisher, row, job, request, schedule)
            grow(change.session)
            change.wakes.add(DRAFTS)
            return self._view(change.session, made), True

        return await self.desk.write(draft)

    async def show(self, reader: Principal, product: str, number: str) -> VersionView:
        """Raises `NotFound`, `Forbidden` for who does not manage the product, `VersionNotFound`."""

        def look(session: Session) -> VersionView:
            return self._view(session, version(session, owned(session, reader, product), number))

        return await self.desk.read(look)

    async def list_all(self, reader: Principal, product: str) -> VersionList:
        """The newest first. Raises as `show` does."""

        def look(session: Session) -> VersionList:
            return VersionList(
                versions=[self._view(session, each) for each in versions(session, owned(session, reader, product))]
            )

        return await self.desk.read(look)

    async def settled(self, reader: Principal, product: str, number: str, wait_s: float) -> VersionView:
        """The version as soon as it is no draft any more, or as it is after `wait_s`."""
        view = await self.show(reader, product, number)
        until = self.desk.clock.monotonic() + wait_s
        with self.desk.signals.subscribe(version_signal(view.snapshot)) as news:
            while (view := await self.show(reader, product, number)).state == VersionState.DRAFT:
                left_s = until - self.desk.clock.monotonic()
                if left_s <= 0 or not await news.next(left_s):
                    break
        return view

    async def diff(self, reader: Principal, product: str, old: str, new: str) -> VersionDiff:
        """Row by row, by the product's key. Raises as `show` does, `WrongState`, `SnapshotGone`."""

        def find(session: Session) -> tuple[VersionRow, VersionRow]:
            row = owned(session, reader, product)
            return _built(version(session, row, old)), _built(version(session, row, new))

        before, after = await self.desk.read(find)
        return (await self.workshop.compare(self.folder(before), self.folder(after))).diff

    def folder(self, row: VersionRow) -> Path:
        """Where the version's snapshot lies."""
        return snapshot_folder(self.store, row.product, row.snapshot)

    def _view(self, session: Session, row: VersionRow) -> VersionView:
        return version_view(session, row, self.progress(row.snapshot) if row.state == VersionState.DRAFT else None)


def publishable(session: Session, publisher: Principal, job_id: str, now: datetime) -> JobRow:
    """The job whose result the principal may publish. Raises `NotFound`, `WrongState`, `ResultExpired`."""
    job = session.get(JobRow, job_id)
    if job is None or not sees_job(publisher, job.tenant, job.principal):
        raise NotFound(what="job", name=job_id)
    if job.state != JobState.SUCCEEDED:
        hint = "Wait until it succeeds, or run it again."
        raise WrongState(what=f"job {job_id}", state=job.state, action="be published", hint=hint)
    if job.result_dropped or (job.result_expires_at is not None and job.result_expires_at <= now):
        raise ResultExpired(job=job_id, expired_at=f"{job.result_expires_at:%Y-%m-%d %H:%M:%S} UTC")
    return job


def _known(session: Session, row: ProductRow, job: JobRow) -> VersionRow | None:
    """The version that was made of this job before; one that came to nothing may be tried again."""
    return next(
        (each for each in versions(session, row) if each.job_id == job.id and each.state not in _AT_ITS_END), None
    )


def _draft(
    change: Change,
    publisher: Principal,
    row: ProductRow,
    job: JobRow,
    request: PublishRequest,
    schedule: str | None,
) -> VersionRow:
    plan = plan_of(job)
    contract = Contract.model_validate_json(row.contract)
    check_columns(contract, [column.name for column in plan.columns], "job")
    major, minor = _next_number(change.session, row, major=request.major)
    made = VersionRow(
        snapshot=change.clock.new_id("snp"),
        tenant=row.tenant,
        principal=publisher.name,
        role=publisher.role,
        groups=json.dumps(publisher.groups, ensure_ascii=False),
        product=row.name,
        major=major,
        minor=minor,
        state=VersionState.DRAFT,
        promote=request.promote,
        job_id=job.id,
        lineage=lineage_of(job, plan, schedule).model_dump_json(),
        contract=contract.model_dump_json(),
        created_at=change.clock.now(),
    )
    change.session.add(made)
    change.session.flush()
    return made


def _next_number(session: Session, row: ProductRow, *, major: bool) -> tuple[int, int]:
    newest = next(iter(versions(session, row)), None)
    if newest is None:
        return 1, 0
    return (newest.major + 1, 0) if major else (newest.major, newest.minor + 1)


def _built(row: VersionRow) -> VersionRow:
    """Raise `SnapshotGone` or `WrongState` where there is nothing to look at."""
    if row.state == VersionState.RETIRED:
        raise SnapshotGone(snapshot=row.snapshot, product=row.product)
    if row.state in _NOT_THERE:
        hint = "Choose versions that were built; `datacanal product versions` lists them."
        raise WrongState(what=f"version {row.version}", state=row.state, action="be compared", hint=hint)
    return row
