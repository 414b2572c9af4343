"""Jobs and a publisher for tests of schedules."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.jobs import Submission
from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.public import JobView
from datacanal.state.models import JobRow
from datacanal.state.product_models import ProductRow, VersionRow
from datacanal.testing.fake_service import fake_job

_AT = datetime(2030, 1, 1, tzinfo=UTC)


class JobsThatSucceed:
    """Every job has succeeded when it is looked at. `keys` are those of the submissions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.keys: list[str | None] = []

    async def submit(self, principal: Principal, submission: Submission) -> tuple[JobView, bool]:
        self.keys.append(submission.idempotency_key)
        job = f"job_{len(self.keys)}"
        await self._desk.write(lambda change: _store_job(change, principal, job, submission))
        return fake_job(job, submission.request.sql), True

    async def view(self, principal: Principal, job_id: str) -> JobView:
        row = await self._desk.read(lambda session: session.get_one(JobRow, job_id))
        assert row.principal == principal.name  # as the service would answer 404
        return fake_job(job_id, row.sql, state="succeeded")


class PublisherOf:
    """Makes a version of every job; each comes to `outcome`. `asked` is what was published."""

    def __init__(self, desk: Desk, held: DatacanalError | None = None) -> None:
        self._desk = desk
        self._held = held
        self.asked: list[tuple[Principal, str, str, bool, str]] = []

    async def publish(self, owner: Principal, product: str, job_id: str, *, promote: bool, schedule: str) -> str:
        self.asked.append((owner, product, job_id, promote, schedule))
        snapshot = f"snp_{job_id}"
        await self._desk.write(lambda change: _store_version(change, owner, product, job_id, snapshot))
        return snapshot

    async def outcome(self, snapshot: str) -> Problem | None:
        del snapshot
        return None if self._held is None else problem_of(self._held)


class PublisherThatHangs(PublisherOf):
    """Its versions are never decided. `waits` comes back when somebody waits for one."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._waited = asyncio.Event()

    async def outcome(self, snapshot: str) -> Problem | None:
        self._waited.set()
        await asyncio.Event().wait()
        return await super().outcome(snapshot)

    async def waits(self) -> None:
        await self._waited.wait()


def _store_job(change: Change, principal: Principal, job: str, submission: Submission) -> None:
    change.session.add(
        JobRow(
            id=job, tenant=principal.tenant, principal=principal.name, role=principal.role, groups="[]", kind="sql",
            sql=submission.request.sql, params="{}", purpose=None, idempotency_key=submission.idempotency_key,
            request_digest=submission.digest, state="succeeded", queue_timeout_s=600, run_timeout_s=3600,
            total_timeout_s=7200, submitted_at=_AT, queue_until=0, total_until=0,
        )
    )  # fmt: skip


def _store_version(change: Change, owner: Principal, product: str, job: str, snapshot: str) -> None:
    of = {"tenant": owner.tenant, "principal": owner.name}
    change.session.merge(
        ProductRow(
            **of, name=product, title="", description="", contract="{}", visibility="private", readers="[]",
            sample="{}", keep=10, created_at=_AT,
        )
    )  # fmt: skip
    change.session.flush()
    change.session.add(
        VersionRow(
            **of, snapshot=snapshot, product=product, major=1, minor=1, state="staged", job_id=job, lineage="{}",
            contract="{}", created_at=_AT,
        )
    )  # fmt: skip
