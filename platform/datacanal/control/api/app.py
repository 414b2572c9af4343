"""The application: routes, problem handlers and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

import datacanal
from datacanal.control.api.catalogue import catalogue_routes
from datacanal.control.api.events import event_routes
from datacanal.control.api.guard import guard_of, site_guard
from datacanal.control.api.health import health_routes
from datacanal.control.api.jobs import job_routes
from datacanal.control.api.products import product_routes
from datacanal.control.api.results import result_routes
from datacanal.control.api.schedules import schedule_routes
from datacanal.control.api.site import join_routes, site_routes
from datacanal.control.api.tokens import token_routes
from datacanal.control.plane import Plane
from datacanal.protocol.products import (
    ProductRequest,
    ProductUpdate,
    PromoteRequest,
    PublishRequest,
    RetireRequest,
    RollbackRequest,
    ScheduleRequest,
)
from datacanal.protocol.public import JobRequest, TokenRequest
from datacanal.protocol.site import (
    CatalogueReport,
    ConsentAnswer,
    Finish,
    Heartbeat,
    Hello,
    Join,
    Poll,
    RelayAsk,
    Start,
)
from datacanal.serving.documents import document
from datacanal.serving.handlers import install_problem_handlers

_BODIES: tuple[type[BaseModel], ...] = (
    JobRequest,
    TokenRequest,
    ScheduleRequest,
    Join,
    Hello,
    CatalogueReport,
    Poll,
    Heartbeat,
    RelayAsk,
    Start,
    Finish,
    ConsentAnswer,
    ProductRequest,
    ProductUpdate,
    PublishRequest,
    PromoteRequest,
    RollbackRequest,
    RetireRequest,
)


class Api(FastAPI):
    """FastAPI whose document tells what is really answered."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self, _BODIES)
        return self.openapi_schema


def build_app(plane: Plane, door_at: Callable[[str], str]) -> FastAPI:
    """The application of the public door; `door_at` says where a caller finds the one for sites (see `doors`)."""
    app = _api(
        "Datacanal",
        "Federated analytics across data lakes. Every failure is a problem document (RFC 9457) with a stable code.",
    )
    permitted = guard_of(plane)
    for router in (
        health_routes(plane),
        job_routes(plane, permitted),
        event_routes(plane, permitted),
        result_routes(plane, permitted),
        catalogue_routes(plane, permitted),
        schedule_routes(plane, permitted),
        product_routes(plane, permitted),
        token_routes(plane, permitted),
        join_routes(plane, door_at),
    ):
        app.include_router(router)
    return app


def build_site_app(plane: Plane) -> FastAPI:
    """The application of the sites' door, where every caller shows the certificate that it joined with."""
    app = _api("Datacanal: the door for sites", "What agents say to the control plane, and what they are told.")
    app.include_router(site_routes(plane, site_guard(plane)))
    return app


def _api(title: str, description: str) -> Api:
    app = Api(
        title=title,
        version=datacanal.__version__,
        description=description,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    return app
