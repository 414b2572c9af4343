"""What the release train needs of others, for tests: owners, results and a workshop that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datacanal.control.products.lineage import inputs_of
from datacanal.control.products.ports import Publication
from datacanal.domain.errors import DatacanalError
from datacanal.products.building.orders import BuildOrder, Built, CheckOrder, Comparison
from datacanal.products.manifest import MANIFEST, Column, Layout, Manifest, read_manifest, snapshot_folder
from datacanal.protocol.products import Check, Consent, Report, VersionDiff
from datacanal.state.models import JobRow


@dataclass
class FakeOwners:
    """Agree to everything, but to the datasets in `said` (`lake.dataset` to a decision); `away` are sites."""

    said: dict[str, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def absence(self, tenant: str, site: str) -> str | None:
        return f"it of {tenant} is away" if site in self.away else None

    async def ask(self, publication: Publication, site: str) -> Sequence[Consent]:
        self.asked.append((publication.version, site))
        return [
            Consent(
                site=site,
                lake=given.lake,
                dataset=given.dataset,
                decision=self.said.get(f"{given.lake}.{given.dataset}", "granted"),
                reason="scripted",
            )
            for given in inputs_of(publication.plan)
            if given.site == site
        ]


@dataclass
class FakeResults:
    """Every result is `content`; the errors in `fails` are raised first, one a time."""

    content: bytes = b"parquet"
    fails: list[DatacanalError] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    async def fetch(self, job: JobRow, file: Path) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.fetched.append(job.id)
        await asyncio.to_thread(file.write_bytes, self.content)


@dataclass
class FakeWorkshop:
    """Snapshots that hold a manifest alone. `checks` are what every version's report has, `answers` what a replay says.

    `restated` are the sessions that differ between any two versions. The errors in `fails` are raised first.
    """

    checks: list[Check] = field(default_factory=lambda: [passed("schema"), passed("key")])
    answers: Check | None = None
    restated: list[str] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    orders: list[CheckOrder] = field(default_factory=list)

    async def build(self, order: BuildOrder) -> Built:
        if self.fails:
            raise self.fails.pop(0)
        self.built.append(order.snapshot)
        folder = snapshot_folder(order.store, order.product, order.snapshot)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).write_text(_manifest(order).model_dump_json())
        return Built(manifest=_manifest(order))

    async def check(self, order: CheckOrder) -> Report:
        self.orders.append(order)
        against = None if order.against is None else read_manifest(order.against).version
        answers = self.answers if order.queries and order.against and self.answers else passed("replay")
        return Report(against=against, checks=[*self.checks, answers])

    async def compare(self, old: Path, new: Path) -> Comparison:
        before, after = read_manifest(old), read_manifest(new)
        diff = VersionDiff(
            old=before.version,
            new=after.version,
            columns=[],
            added=0,
            removed=0,
            changed=len(self.restated),
            sessions=self.restated,
            examples=[],
        )
        return Comparison(diff=diff, rows=len(self.restated), keys=len(self.restated))


def passed(check: str) -> Check:
    """A check that found nothing."""
    return Check.model_validate({"check": check, "outcome": "passed", "says": "As it must be."})


def held(check: str, *, acceptable: bool) -> Check:
    """A check that stops the release."""
    found: Mapping[str, object] = {"check": check, "outcome": "held", "says": "It is not.", "acceptable": acceptable}
    return Check.model_validate(found)


def _manifest(order: BuildOrder) -> Manifest:
    return Manifest(
        product=order.product,
        version=order.version,
        snapshot=order.snapshot,
        created_at=order.created_at,
        columns=[Column(name=name, type="BIGINT") for name in order.contract.key],
        key=order.contract.key,
        session=order.contract.session,
        rows=1,
        layouts=[Layout(order=order.contract.key, file="by_key.parquet", bytes=7, sha256="0" * 64)],
    )
