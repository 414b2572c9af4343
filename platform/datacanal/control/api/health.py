"""Whether the service is there; the one route that needs no token."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

import datacanal
from datacanal.control.plane import Plane
from datacanal.protocol.public import Health
from datacanal.serving.answers import answer
from datacanal.serving.documents import problems
from datacanal.serving.queries import check_query


def health_routes(plane: Plane) -> APIRouter:
    """Health, for supervisors and people."""
    router = APIRouter(prefix="/v1", tags=["health"])

    @router.get("/health", response_model=Health, responses={400: problems()[400]})
    async def health(request: Request) -> Response:
        """Ready as soon as it answers; which of the configured sites are connected."""
        check_query(request)
        sites = {site: plane.presence.connected(site) for site in plane.sites}
        return answer(Health(status="ready", version=datacanal.__version__, sites=sites))

    return router
