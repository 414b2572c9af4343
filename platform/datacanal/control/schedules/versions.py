"""The publisher of schedules: the versions that publishers make by hand, made in the name of a schedule's owner."""

from __future__ import annotations

from dataclasses import dataclass

from datacanal.control.desk import Desk
from datacanal.control.products.judging import contract_held
from datacanal.control.products.versions import VersionBook
from datacanal.control.signals import version_signal
from datacanal.control.store.jobs import problem_from
from datacanal.domain.access import Principal
from datacanal.domain.product import VersionState
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.products import PublishRequest, Report
from datacanal.state.product_models import VersionRow

_LOOK_S = 60.0


@dataclass(frozen=True)
class ScheduledVersions:
    """Lives on one event loop."""

    desk: Desk
    versions: VersionBook

    async def publish(self, owner: Principal, product: str, job_id: str, *, promote: bool, schedule: str) -> str:
        """Begin a version; gives its snapshot. Raises as `VersionBook.publish` does."""
        request = PublishRequest(job=job_id, promote=promote)
        view, _ = await self.versions.publish(owner, product, request, schedule)
        return view.snapshot

    async def outcome(self, snapshot: str) -> Problem | None:
        """Wait until the version is no draft any more; why it is not staged, if it is not."""
        with self.desk.signals.subscribe(version_signal(snapshot)) as news:
            while (row := await self._row(snapshot)).state == VersionState.DRAFT:
                await news.next(_LOOK_S)
        if row.state == VersionState.HELD:
            report = Report.model_validate_json(row.report or "")
            return problem_of(contract_held(row.product, row.version, report, ()))
        return problem_from(row.problem) if row.state == VersionState.FAILED else None

    async def _row(self, snapshot: str) -> VersionRow:
        return await self.desk.read(lambda session: session.get_one(VersionRow, snapshot))
