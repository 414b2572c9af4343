"""Routes of sites, lakes and datasets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal
from datacanal.domain.errors import NotFound, SiteUnreachable
from datacanal.protocol.public import DatasetList, DatasetView, LakeList, SiteList
from datacanal.serving.answers import answer
from datacanal.serving.documents import problems

REFRESH_WAIT_S = 20.0


def catalogue_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """What there is, and listing it again."""
    router = APIRouter(prefix="/v1", tags=["catalogue"])
    reading = permitted(Action.READ_CATALOGUE)
    reading_sites = permitted(Action.READ_SITES)
    refreshing = permitted(Action.REFRESH_CATALOGUE)

    @router.get("/sites", response_model=SiteList, responses=problems())
    async def sites(caller: Principal = reading_sites) -> Response:
        """Every site, and whether it is connected."""
        return answer(plane.catalogue.sites_view(caller))

    @router.get("/lakes", response_model=LakeList, responses=problems())
    async def lakes(caller: Principal = reading) -> Response:
        """Every lake."""
        return answer(plane.catalogue.lakes_view(caller))

    @router.get("/datasets", response_model=DatasetList, responses=problems())
    async def datasets(caller: Principal = reading) -> Response:
        """Every dataset at its newest snapshot."""
        return answer(plane.catalogue.datasets_view(caller))

    @router.post("/datasets/refresh", response_model=DatasetList, responses=problems(404, 503))
    async def refresh(
        lake: Annotated[str | None, Query(max_length=64, description="absent: every lake")] = None,
        caller: Principal = refreshing,
    ) -> Response:
        """List the files of lakes again; answers when their sites have reported."""
        return await _refreshed(plane, caller, lake)

    @router.post("/lakes/{lake}/refresh", response_model=DatasetList, responses=problems(404, 503))
    async def refresh_lake(lake: str, caller: Principal = refreshing) -> Response:
        """List the files of one lake again; answers when its site has reported."""
        return await _refreshed(plane, caller, lake)

    @router.get("/datasets/{name}", response_model=DatasetView, responses=problems(404))
    async def dataset(name: str, caller: Principal = reading) -> Response:
        """One dataset, by `lake.name`."""
        return answer(plane.catalogue.dataset_view(caller, name))

    return router


async def _refreshed(plane: Plane, caller: Principal, lake: str | None) -> Response:
    known = plane.catalogue.known(caller.tenant)
    having = {item.site for item in known.lakes if lake in (None, item.report.name)}
    if lake is not None and not having:
        raise NotFound(what="lake", name=lake)
    for site in sorted(having):
        if lake is not None and not plane.presence.connected(site):
            raise SiteUnreachable(site=site, reason=plane.catalogue.absence(known, site))
    if not await plane.refresher.refresh(caller.tenant, lake, REFRESH_WAIT_S):
        reason = f"it did not report its lakes within {REFRESH_WAIT_S:.0f} s"
        raise SiteUnreachable(site=", ".join(sorted(having)), reason=reason)
    return answer(plane.catalogue.datasets_view(caller))
