"""The release train over a real store, with owners, results and a workshop that do as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datacanal.control.desk import Desk
from datacanal.control.products.catalogue import ProductCatalogue
from datacanal.control.products.publishing import Progress, Publisher
from datacanal.control.products.releases import ReleaseTrain
from datacanal.control.products.shelves import Shelves
from datacanal.control.products.versions import VersionBook
from datacanal.control.store.opening import open_store
from datacanal.domain.access import Principal
from datacanal.products.manifest import snapshot_folder
from datacanal.protocol.plan import DatasetInput, Estimate, Meeting, Plan, PlanColumn, Step
from datacanal.protocol.products import (
    Contract,
    ProductRequest,
    ProductView,
    PromoteRequest,
    PublishRequest,
    RetireRequest,
    RollbackRequest,
    VersionView,
)
from datacanal.state.models import JobRow
from datacanal.state.revisions import number_of
from datacanal.storage.places import EMBEDDED
from datacanal.testing.clock_fake import FakeClock
from datacanal.testing.product_fakes import FakeOwners, FakeResults, FakeWorkshop

PUB = Principal("default", "pub", "publisher")
ADMIN = Principal("default", "root", "admin")
OTHER = Principal("default", "other", "publisher")
DEVELOPER = Principal("default", "dev", "developer", ("quants",))
STRANGER = Principal("elsewhere", "pub", "admin")
BARS = ProductRequest(name="pub.bars", title="Bars", contract=Contract(key=["sec_id"]))
CANARY = PromoteRequest(to="canary", share=0.1)
STABLE = PromoteRequest()


@dataclass
class House:
    """`play` runs a scene with fresh parts over the home, as after a start; playing again is a restart."""

    home: Path
    clock: FakeClock = field(default_factory=FakeClock)
    owners: FakeOwners = field(default_factory=FakeOwners)
    results: FakeResults = field(default_factory=FakeResults)
    workshop: FakeWorkshop = field(default_factory=FakeWorkshop)
    queries: list[str] = field(default_factory=list)
    database: str = EMBEDDED

    def play(self, scene: Callable[[House], Awaitable[None]]) -> None:
        asyncio.run(self._played(scene))

    async def _played(self, scene: Callable[[House], Awaitable[None]]) -> None:
        self.desk = Desk(open_store(self.home, self.clock, self.database), self.clock, result_expiry_s=86400)
        progress = Progress()
        self.catalogue = ProductCatalogue(self.desk)
        self.book = VersionBook(self.desk, self.store, self.workshop, progress.of)
        self.train = ReleaseTrain(self.desk, self.book, self.workshop, self._recent)
        staging = self.home / "staging"
        self.publisher = Publisher(
            self.desk, self.store, staging, self.owners, self.results, self.workshop, self.train, progress
        )
        self.shelves = Shelves(self.desk, self.store)
        try:
            await scene(self)
        finally:
            self.desk.close()

    @property
    def store(self) -> Path:
        return self.home / "products"

    def _recent(self, product: str, number: int) -> Sequence[str]:
        return self.queries[:number] if product == BARS.name else []

    async def job(self, name: str, *, owner: str = "pub", state: str = "succeeded", columns: str = "sec_id") -> str:
        """A job over both lakes that ended so."""
        row = _job(name, owner, state, columns, self.clock)
        await self.desk.write(lambda change: change.session.add(row))
        return name

    async def create(self, request: ProductRequest = BARS, by: Principal = PUB) -> ProductView:
        return await self.catalogue.create(by, request)

    async def publish(self, job: str, *, major: bool = False, promote: bool = False) -> VersionView:
        """A draft of a new job's result, carried on as far as it goes."""
        await self.job(job)
        request = PublishRequest(job=job, major=major, promote=promote)
        view, _ = await self.book.publish(PUB, BARS.name, request)
        await self.publisher.carry_on()
        return await self.version(view.version)

    async def release(self, job: str) -> VersionView:
        """A new version that is stable."""
        view = await self.publish(job)
        return await self.promote(PromoteRequest(version=view.version))

    async def release_first(self) -> None:
        """1.0 is stable and 1.1 staged, whatever a replay says."""
        await self.release("job_1")
        answers, self.workshop.answers = self.workshop.answers, None
        await self.publish("job_2")
        self.workshop.answers = answers

    async def version(self, number: str) -> VersionView:
        return await self.book.show(PUB, BARS.name, number)

    async def promote(self, request: PromoteRequest = STABLE) -> VersionView:
        return await self.train.promote(PUB, BARS.name, request)

    async def rollback(self, version: str | None = None) -> VersionView:
        return await self.train.rollback(PUB, BARS.name, RollbackRequest(version=version, reason="it was wrong"))

    async def retire(self, version: str | None = None) -> ProductView:
        return await self.train.retire(PUB, BARS.name, RetireRequest(version=version))

    async def states(self) -> dict[str, str]:
        """Every version's state."""
        found = await self.book.list_all(PUB, BARS.name)
        return {view.version: view.state for view in found.versions}

    async def channels(self) -> dict[str, str]:
        """Where each channel points."""
        return {each.channel: each.version for each in (await self.catalogue.show(PUB, BARS.name)).channels}

    async def revision(self) -> int:
        return await self.desk.read(number_of)

    def folder(self, view: VersionView) -> Path:
        return snapshot_folder(self.store, view.product, view.snapshot)


def _job(name: str, owner: str, state: str, columns: str, clock: FakeClock) -> JobRow:
    return JobRow(
        id=name,
        tenant="default",
        principal=owner,
        role="publisher",
        groups="[]",
        kind="sql",
        sql="SELECT …",
        params="{}",
        request_digest="d",
        state=state,
        queue_timeout_s=600,
        run_timeout_s=3600,
        total_timeout_s=7200,
        submitted_at=clock.now(),
        queue_until=0,
        total_until=0,
        plan=_plan(columns).model_dump_json(),
        result_step="q",
    )


def _plan(columns: str) -> Plan:
    found = [PlanColumn(name=name, type="BIGINT") for name in columns.split()]
    steps = [_step("s1", "users", "shop", found), _step("q", "core", "bank", found)]
    return Plan(
        kernel="v2.0.0",
        functions="f" * 64,
        statement="SELECT …",
        now="2030-01-01T00:00:00+00:00",
        steps=steps,
        transfers=[],
        result_step="q",
        columns=found,
        meeting=Meeting(site="core", bytes=0, reason="scripted"),
    )


def _step(step: str, site: str, lake: str, columns: list[PlanColumn]) -> Step:
    given = DatasetInput(occurrence="occ0", lake=lake, dataset="bars", snapshot=f"snap_{lake}", columns=columns)
    estimate = Estimate(rows=1, bytes=1)
    return Step(id=step, site=site, kind="query", sql="SELECT 1", inputs=[given], columns=columns, estimate=estimate)
