"""What is known of sites, lakes and datasets: kept in the store, held in memory as one value per version."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.presence import Presence
from datacanal.control.signals import CATALOGUE
from datacanal.domain.access import Principal
from datacanal.domain.errors import BadField, NotFound
from datacanal.protocol.catalogue import DatasetReport, LakeReport
from datacanal.protocol.public import DatasetList, DatasetView, LakeList, LakeView, SiteList, SiteView
from datacanal.protocol.site import Hello
from datacanal.state.models import DatasetRow, LakeRow, SessionRow, SiteRow


@dataclass(frozen=True)
class KnownDataset:
    site: str
    report: DatasetReport


@dataclass(frozen=True)
class KnownLake:
    site: str
    report: LakeReport


@dataclass(frozen=True)
class Known:
    """Everything reported, of one tenant. `version` grows with every change; `sites` are with their last hello."""

    version: int
    sites: Mapping[str, datetime | None]
    lakes: tuple[KnownLake, ...]
    datasets: tuple[KnownDataset, ...]
    hellos: dict[str, Hello]


class CatalogueBook:
    """The catalogue of each tenant."""

    def __init__(self, desk: Desk, presence: Presence) -> None:
        self._desk = desk
        self._presence = presence
        self._known: dict[str, Known] = {}
        self._version = 0
        self._refreshing = asyncio.Lock()
        self.reports: Counter[str] = Counter()

    def load(self, tenants: Sequence[str]) -> None:
        """Read what the store remembers."""
        for tenant in tenants:
            self._known[tenant] = self._desk.read_now(lambda session, of=tenant: self._read(session, of))  # type: ignore[misc]  # mypy does not infer a lambda with a default

    def known(self, tenant: str) -> Known:
        """The newest value."""
        return self._known.get(tenant) or Known(0, {}, (), (), {})

    async def refresh(self, tenant: str) -> None:
        """Take over what was just written to the store."""
        async with self._refreshing:  # a reading that began earlier must not replace a later one
            self._known[tenant] = await self._desk.read(lambda session: self._read(session, tenant))
        self._desk.signals.wake([CATALOGUE])

    async def replace_datasets(
        self, tenant: str, site: str, reports: list[DatasetReport], lakes: Sequence[LakeReport] = ()
    ) -> None:
        """Take a site's report of all its datasets and lakes. One that says what is known already changes nothing."""
        known = {lake.report.name: lake.report for lake in self.known(tenant).lakes if lake.site == site}
        owned = [report for report in reports if report.lake in known]
        changed = [lake for lake in lakes if lake.name in known and lake != known[lake.name]]
        self.reports[site] += 1
        if not changed and _same(owned, [item.report for item in self.known(tenant).datasets if item.site == site]):
            self._desk.signals.wake([CATALOGUE])
            return
        await self._desk.write(lambda change: _replace(change, tenant, site, owned, changed))
        await self.refresh(tenant)

    def _read(self, session: Session, tenant: str) -> Known:
        self._version += 1
        hellos = session.scalars(select(SessionRow).where(SessionRow.tenant == tenant).order_by(SessionRow.began_at))
        return Known(
            version=self._version,
            sites={
                row.name: row.seen_at
                for row in session.scalars(select(SiteRow).where(SiteRow.tenant == tenant).order_by(SiteRow.name))
            },
            lakes=tuple(
                KnownLake(row.site, LakeReport.model_validate_json(row.report))
                for row in session.scalars(select(LakeRow).where(LakeRow.tenant == tenant).order_by(LakeRow.name))
            ),
            datasets=tuple(
                KnownDataset(row.site, DatasetReport.model_validate_json(row.report))
                for row in session.scalars(
                    select(DatasetRow).where(DatasetRow.tenant == tenant).order_by(DatasetRow.lake, DatasetRow.name)
                )
            ),
            hellos={row.site: Hello.model_validate_json(row.hello) for row in hellos},
        )

    def sites_view(self, reader: Principal) -> SiteList:
        known = self.known(reader.tenant)
        return SiteList(sites=[self._site_view(known, name) for name in known.sites])

    def lakes_view(self, reader: Principal) -> LakeList:
        known = self.known(reader.tenant)
        return LakeList(
            lakes=[
                LakeView(
                    name=lake.report.name,
                    site=lake.site,
                    policy_digest=lake.report.policy_digest,
                    datasets=sum(item.report.lake == lake.report.name for item in known.datasets),
                    problem=lake.report.problem,
                )
                for lake in known.lakes
            ]
        )

    def datasets_view(self, reader: Principal) -> DatasetList:
        return DatasetList(datasets=[dataset_view(item) for item in self.known(reader.tenant).datasets])

    def dataset_view(self, reader: Principal, full_name: str) -> DatasetView:
        """One dataset by `lake.name`. Raises `NotFound`."""
        for item in self.known(reader.tenant).datasets:
            if f"{item.report.lake}.{item.report.name}" == full_name:
                return dataset_view(item)
        raise NotFound(what="dataset", name=full_name)

    def _site_view(self, known: Known, name: str) -> SiteView:
        hello = known.hellos.get(name)
        connected = self._presence.connected(name)
        return SiteView(
            name=name,
            connected=connected,
            seen_at=self._presence.seen_at(name) or known.sites[name],
            kernel=hello.kernel if hello else None,
            slots=hello.slots if hello else 0,
            lakes=[lake.report.name for lake in known.lakes if lake.site == name],
            waits=None if connected else self.absence(known, name),
        )

    def absence(self, known: Known, site: str) -> str:
        """Since when a site that is not connected has been away, in words."""
        seen = self._presence.seen_at(site) or known.sites.get(site)
        if seen is None:
            return f"site {site} has never connected"
        return f"site {site} has not been connected since {seen:%Y-%m-%d %H:%M:%S} UTC"


def remember_sites(change: Change, tenant: str, names: Iterable[str]) -> None:
    """Write down the sites of the configuration, whether they have ever connected or not."""
    for name in names:
        if change.session.get(SiteRow, (tenant, name)) is None:
            change.session.add(SiteRow(tenant=tenant, principal=name, name=name))


def remember_hello(change: Change, tenant: str, hello: Hello, session_id: str) -> None:
    """Write down an agent's session, its site and its lakes."""
    _refuse_foreign_lakes(change, tenant, hello)
    owner = {"tenant": tenant, "principal": hello.site}
    change.session.add(
        SessionRow(
            id=session_id,
            site=hello.site,
            instance=hello.instance,
            boot=hello.boot,
            hello=hello.model_dump_json(),
            began_at=change.clock.now(),
            **owner,
        )
    )
    change.session.merge(SiteRow(name=hello.site, seen_at=change.clock.now(), **owner))
    names = [lake.name for lake in hello.lakes]
    of_site = {"tenant": tenant, "site": hello.site}
    change.session.execute(delete(LakeRow).filter_by(**of_site))
    change.session.execute(delete(DatasetRow).filter_by(**of_site).where(DatasetRow.lake.not_in(names)))
    for lake in hello.lakes:
        change.session.merge(LakeRow(name=lake.name, site=hello.site, report=lake.model_dump_json(), **owner))


def _refuse_foreign_lakes(change: Change, tenant: str, hello: Hello) -> None:
    """A site may not take over the name of another site's lake."""
    for lake in hello.lakes:
        known = change.session.get(LakeRow, (tenant, lake.name))
        if known is not None and known.site != hello.site:
            raise BadField(field="lakes", reason=f"the lake {lake.name!r} belongs to site {known.site!r}")


def _replace(change: Change, tenant: str, site: str, reports: list[DatasetReport], lakes: Sequence[LakeReport]) -> None:
    for lake in lakes:
        document = lake.model_dump_json()
        change.session.merge(LakeRow(tenant=tenant, principal=site, name=lake.name, site=site, report=document))
    change.session.execute(delete(DatasetRow).filter_by(tenant=tenant, site=site))
    for report in reports:
        change.session.merge(
            DatasetRow(
                tenant=tenant,
                principal=site,
                lake=report.lake,
                name=report.name,
                site=site,
                report=report.model_dump_json(),
            )
        )


def _same(ours: list[DatasetReport], theirs: list[DatasetReport]) -> bool:
    def by_name(report: DatasetReport) -> tuple[str, str]:
        return report.lake, report.name

    return sorted(ours, key=by_name) == sorted(theirs, key=by_name)


def dataset_view(item: KnownDataset) -> DatasetView:
    report = item.report
    return DatasetView(
        lake=report.lake,
        name=report.name,
        site=item.site,
        snapshot=report.snapshot.id if report.snapshot else None,
        files=report.snapshot.files if report.snapshot else 0,
        rows=report.snapshot.rows if report.snapshot else 0,
        bytes=report.snapshot.bytes if report.snapshot else 0,
        key=report.key,
        columns=report.columns,
        problem=report.problem,
    )
