"""Drafts on their way to be staged, one at a time: the owners' consent, the result, the snapshot, the checks.

Everything may run twice. A control plane that was killed begins its drafts again; their snapshots' ids stay.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from datacanal.control.desk import Desk
from datacanal.control.products.drafts import (
    Draft,
    Overtaken,
    check_consents,
    fail,
    find_drafts,
    note_consents,
    read_draft,
    settle,
)
from datacanal.control.products.judging import held
from datacanal.control.products.lineage import inputs_of, plan_of
from datacanal.control.products.ports import Owners, Publication, Results, Workshop
from datacanal.control.products.releases import ReleaseTrain
from datacanal.control.products.releasing import Findings
from datacanal.control.signals import DRAFTS
from datacanal.domain.errors import DatacanalError, Kind, OutputLost, SiteUnreachable
from datacanal.domain.product_errors import BuildFailed, ProductRetired
from datacanal.products.building.orders import BuildOrder
from datacanal.protocol.products import Contract
from datacanal.serving.handlers import failure_fields
from datacanal.state.product_models import VersionRow

AWAY_WITHIN_S = 120.0
"""How long a draft waits for sites that are away, counted from when this process first looked at it."""
BUSY_WITHIN_S = 900.0
"""The same for sites that are there, and still export the result or broke off."""
_LOOK_AGAIN_S = 1.0
_log = structlog.get_logger()


@dataclass
class Progress:
    """What drafts (by snapshot) are at, in words."""

    words: dict[str, str] = field(default_factory=dict)

    def of(self, snapshot: str) -> str | None:
        """None before anything began."""
        return self.words.get(snapshot)

    def say(self, snapshot: str, words: str) -> None:
        """What it is at now."""
        self.words[snapshot] = words


@dataclass(frozen=True)
class Publisher:
    """`staging` is where results lie while they are taken in. Lives on one event loop.

    `agreed` are the drafts whose owners did: another try for a busy site does not ask them again.
    """

    desk: Desk
    store: Path
    staging: Path
    owners: Owners
    results: Results
    workshop: Workshop
    train: ReleaseTrain
    progress: Progress
    first_seen: dict[str, float] = field(default_factory=dict)
    agreed: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Carry on every draft that there is, then wait for the next. What an earlier process left is cleared first."""
        await asyncio.to_thread(shutil.rmtree, self.staging, ignore_errors=True)
        with self.desk.signals.subscribe(DRAFTS) as news:
            while True:
                waiting = await self.carry_on()
                await news.next(_LOOK_AGAIN_S if waiting else 3600.0)

    async def carry_on(self) -> bool:
        """Look at every draft once, the oldest first; True where one still waits for a site."""
        snapshots = await self.desk.read(find_drafts)
        return any([await self._look_at(snapshot) for snapshot in snapshots])

    async def _look_at(self, snapshot: str) -> bool:
        draft = await self.desk.read(lambda session: read_draft(session, snapshot))
        absences = self._absences(draft)
        if absences and self._patient(snapshot, AWAY_WITHIN_S):
            self.progress.say(snapshot, "; ".join(f"waiting for site {error.data['site']}" for error in absences))
            return True
        if not (absences or await self._carried(draft)):
            return True
        if absences:
            await self._fail(draft, absences[0])
        self.first_seen.pop(snapshot, None)
        self.agreed.discard(snapshot)
        self.progress.words.pop(snapshot, None)
        return False

    async def _carried(self, draft: Draft) -> bool:
        """Bring the draft to its end; False where it is to be looked at again."""
        snapshot = draft.row.snapshot
        try:
            await self._carry(draft)
        except Overtaken:
            return False
        except DatacanalError as error:
            if _may_pass(error) and self._patient(snapshot, BUSY_WITHIN_S):
                return False
            await self._fail(draft, error)
        except Exception as error:  # what nobody foresaw in one draft must not stop the others
            _log.error("draft_broke", snapshot=snapshot, **failure_fields(error))
            await self._fail(draft, BuildFailed(reason="a failure that nobody foresaw; the service's log has it"))
        finally:
            (self.staging / f"{snapshot}.parquet").unlink(missing_ok=True)
        return True

    async def _fail(self, draft: Draft, error: DatacanalError) -> None:
        row = draft.row
        _log.warning("draft_failed", product=row.product, version=row.version, code=error.code)
        await self.desk.write(lambda change: fail(change, row.snapshot, error))

    def _absences(self, draft: Draft) -> list[SiteUnreachable]:
        plan = plan_of(draft.job)
        sites = {given.site for given in inputs_of(plan)} | {plan.step(plan.result_step).site}
        away = {site: self.owners.absence(draft.row.tenant, site) for site in sorted(sites)}
        return [SiteUnreachable(site=site, reason=words) for site, words in away.items() if words is not None]

    def _patient(self, snapshot: str, within_s: float) -> bool:
        now = self.desk.clock.monotonic()
        return now - self.first_seen.setdefault(snapshot, now) < within_s

    async def _carry(self, draft: Draft) -> None:
        row = draft.row
        if draft.product.retired_at is not None:
            retired_at = f"{draft.product.retired_at:%Y-%m-%d}"
            raise ProductRetired(product=row.product, retired_at=retired_at, owner=draft.product.principal)
        if row.snapshot not in self.agreed:
            self.progress.say(row.snapshot, "asking the owners of what the job read")
            await self._ask_owners(draft)
            self.agreed.add(row.snapshot)
        order = self._order(row)
        self.progress.say(row.snapshot, "fetching the job's result")
        await self._fetch(draft, order.source)
        self.progress.say(row.snapshot, "building the snapshot")
        manifest = (await self.workshop.build(order)).manifest
        self.progress.say(row.snapshot, "checking the contract")
        report = await self.train.checked(row, draft.yardstick)
        differs = await self.train.difference(row, draft.stable) if row.promote and not held(report) else None
        findings = Findings(draft.stable, report, differs)
        await self.desk.write(lambda change: settle(change, draft, manifest, findings))

    async def _ask_owners(self, draft: Draft) -> None:
        plan = plan_of(draft.job)
        row = draft.row
        publication = Publication(draft.publisher, row.product, row.version, row.snapshot, draft.job, plan)
        sites = sorted({given.site for given in inputs_of(plan)})
        answers = await asyncio.gather(*(self.owners.ask(publication, site) for site in sites))
        consents = [consent for answer in answers for consent in answer]
        await self.desk.write(lambda change: note_consents(change, row.snapshot, consents))
        check_consents(row.product, consents)

    async def _fetch(self, draft: Draft, file: Path) -> None:
        self.staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.results.fetch(draft.job, file)

    def _order(self, row: VersionRow) -> BuildOrder:
        return BuildOrder(
            source=(self.staging / f"{row.snapshot}.parquet").absolute(),
            store=self.store.absolute(),
            product=row.product,
            version=row.version,
            snapshot=row.snapshot,
            contract=Contract.model_validate_json(row.contract),
            created_at=row.created_at,
        )


def _may_pass(error: DatacanalError) -> bool:
    """Whether the same may succeed in a moment. A result that its site lost does not come back."""
    return error.kind is Kind.EXTERNAL and error.retriable and error.code != OutputLost.code
