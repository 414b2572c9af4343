"""The application: routes, problem handlers and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

import datacanal
from datacanal.control.api.catalogue import catalogue_routes
from datacanal.control.api.documents import document
from datacanal.control.api.events import event_routes
from datacanal.control.api.guard import guard_of
from datacanal.control.api.health import health_routes
from datacanal.control.api.jobs import job_routes
from datacanal.control.api.results import result_routes
from datacanal.control.api.site import site_routes
from datacanal.control.api.tokens import token_routes
from datacanal.control.plane import Plane
from datacanal.serving.handlers import install_problem_handlers

_DESCRIPTION = (
    "Federated analytics across data lakes. Every failure is a problem document (RFC 9457) with a stable code."
)


class Api(FastAPI):
    """FastAPI whose document tells what is really answered."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def build_app(plane: Plane) -> FastAPI:
    """The control plane's application over its parts."""
    app = Api(
        title="Datacanal",
        version=datacanal.__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    permitted = guard_of(plane)
    for router in (
        health_routes(plane),
        job_routes(plane, permitted),
        event_routes(plane, permitted),
        result_routes(plane, permitted),
        catalogue_routes(plane, permitted),
        token_routes(plane, permitted),
        site_routes(plane, permitted),
    ):
        app.include_router(router)
    install_problem_handlers(app)
    return app
