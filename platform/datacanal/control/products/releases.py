"""The release train: a version becomes the canary or stable, is taken back, or is retired."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.products.judging import contract_held, replayed_again, unaccepted
from datacanal.control.products.pointing import check_was_stable, make_canary, move, roll_back, version_before
from datacanal.control.products.ports import Workshop
from datacanal.control.products.releasing import Accepted, Findings, release
from datacanal.control.products.rows import living, owned, stable, version, versions
from datacanal.control.products.versions import VersionBook
from datacanal.control.products.views import product_view, report_of, version_view
from datacanal.domain.access import Principal
from datacanal.domain.errors import BadField, ServiceBusy
from datacanal.domain.product import VersionMove, VersionState, moved
from datacanal.domain.product_errors import NoVersion
from datacanal.products.building.orders import CheckOrder, Comparison
from datacanal.protocol.products import (
    Contract,
    ProductView,
    PromoteRequest,
    Report,
    RetireRequest,
    RollbackRequest,
    VersionView,
)
from datacanal.state.product_models import ProductRow, VersionRow
from datacanal.state.revisions import grow

REPLAYED = 200
"""Distinct requests, the last ones, that are asked of a version before it becomes stable."""
RecentQueries = Callable[[str, int], Sequence[str]]
"""The last distinct requests (canonical) for data of a product, at most so many. Blocking."""


@dataclass(frozen=True)
class ReleaseTrain:
    """Every method acts for a principal; each change is one transaction that keeps who made it and when."""

    desk: Desk
    book: VersionBook
    workshop: Workshop
    recent: RecentQueries

    async def promote(self, publisher: Principal, product: str, request: PromoteRequest) -> VersionView:
        """To the canary, or to stable once the last requests were replayed.

        Raises `ContractHeld` where a check holds that is not accepted, `WrongState`, `VersionNotFound`, `NoVersion`.
        """
        await self.desk.read(lambda session: living(session, publisher, product))
        _check_request(request)
        if request.to == "canary":
            return await self.desk.write(lambda change: _try(change, publisher, product, request))
        row, before = await self.desk.read(lambda session: _candidate(session, publisher, product, request))
        findings = await self.find_out(row, before)

        def decide(change: Change) -> tuple[VersionView, Report | None]:
            now, stable_now = _candidate(change.session, publisher, product, request)
            if (now.snapshot, _snapshot(stable_now)) != (row.snapshot, _snapshot(before)):
                raise ServiceBusy(reason=f"the versions of {product} changed meanwhile")
            owner = living(change.session, publisher, product)
            done = release(change, publisher, owner, now, findings, Accepted(request.accept, request.reason))
            return version_view(change.session, now), None if done else findings.report

        view, held_by = await self.desk.write(decide)
        if held_by is not None:
            raise contract_held(product, view.version, held_by, request.accept)
        return view

    async def rollback(self, publisher: Principal, product: str, request: RollbackRequest) -> VersionView:
        """Let readers have an earlier version again, at once. Raises `NoVersion`, `WrongState`, `VersionNotFound`."""

        def back(change: Change) -> VersionView:
            row = living(change.session, publisher, product)
            to = version_before(change, row) if request.version is None else _named(change, row, request.version)
            roll_back(change, publisher, row, to, request.reason)
            return version_view(change.session, to)

        return await self.desk.write(back)

    async def retire(self, publisher: Principal, product: str, request: RetireRequest) -> ProductView:
        """End a version that no channel points at, or the product. Raises `WrongState`, `VersionNotFound`."""

        def end(change: Change) -> ProductView:
            row = owned(change.session, publisher, product)
            if request.version is None:
                row.retired_at = row.retired_at or change.clock.now()
            else:
                ended = version(change.session, row, request.version)
                move(change, ended, VersionMove.RETIRE)
                ended.reason = request.reason or ended.reason
            grow(change.session)
            return product_view(change.session, row)

        return await self.desk.write(end)

    async def find_out(self, row: VersionRow, before: VersionRow | None) -> Findings:
        """What the last requests get from the version instead of from the stable one, and what differs."""
        report = report_of(row) or Report(checks=[])
        if before is None:
            return Findings(None, report, None)
        newer = await self.checked(row, before)
        return Findings(before, replayed_again(report, newer), await self.difference(row, before))

    async def checked(self, row: VersionRow, against: VersionRow | None) -> Report:
        """What its contract says of the version now, with the last distinct requests."""
        order = CheckOrder(
            folder=self.book.folder(row),
            contract=Contract.model_validate_json(row.contract),
            now=self.desk.clock.now(),
            against=None if against is None else self.book.folder(against),
            major=against is not None and against.major != row.major,
            queries=list(await asyncio.to_thread(self.recent, row.product, REPLAYED)),
        )
        return await self.workshop.check(order)

    async def difference(self, row: VersionRow, before: VersionRow | None) -> Comparison | None:
        """What readers would find changed."""
        if before is None:
            return None
        return await self.workshop.compare(self.book.folder(before), self.book.folder(row))


def _check_request(request: PromoteRequest) -> None:
    if request.accept and not request.reason:
        raise BadField(field="reason", reason="what is accepted is accepted for a reason: say it")
    if request.to == "stable" and (request.share or request.labels):
        raise BadField(field="to", reason="share and labels are of the canary; stable is for everybody")
    if request.to == "canary" and not (request.share or request.labels):
        raise BadField(field="share", reason="a canary needs a share of the callers, or labels of groups")


def _try(change: Change, publisher: Principal, product: str, request: PromoteRequest) -> VersionView:
    row, _ = _candidate(change.session, publisher, product, request)
    report = report_of(row)
    if row.state == VersionState.HELD and report is not None:
        if unaccepted(report, request.accept):
            raise contract_held(product, row.version, report, request.accept)
        move(change, row, VersionMove.ACCEPT)
        row.reason = request.reason
    make_canary(change, publisher, living(change.session, publisher, product), row, request)
    return version_view(change.session, row)


def _candidate(
    session: Session, publisher: Principal, product: str, request: PromoteRequest
) -> tuple[VersionRow, VersionRow | None]:
    """The version that is asked for, and the one that is stable. Raises `WrongState` where it can never be."""
    owner = living(session, publisher, product)
    row = _newest(session, owner, request) if request.version is None else version(session, owner, request.version)
    if row.state != VersionState.HELD and not (row.state == request.to == "canary"):
        moved(VersionState(row.state), VersionMove.TRY if request.to == "canary" else VersionMove.PROMOTE, row.version)
    return row, stable(session, owner)


def _newest(session: Session, owner: ProductRow, request: PromoteRequest) -> VersionRow:
    """Where all are held, the newest of those: what holds it is more to know than that there is none."""
    possible = {VersionState.STAGED, VersionState.CANARY} | ({VersionState.HELD} if request.accept else set())
    every = versions(session, owner)
    found = next((row for row in every if row.state in possible), None)
    found = found or next((row for row in every if row.state == VersionState.HELD), None)
    if found is None:
        raise NoVersion(product=owner.name, channel="staged", when="")
    return found


def _named(change: Change, row: ProductRow, number: str) -> VersionRow:
    found = version(change.session, row, number)
    check_was_stable(change, row, found)
    return found


def _snapshot(row: VersionRow | None) -> str | None:
    return None if row is None else row.snapshot
