"""Routes of the site protocol (see `datacanal.protocol.site`)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from datacanal.control.api.answers import answer, nothing
from datacanal.control.api.documents import json_body, problems
from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.control.uploads import Head
from datacanal.domain.access import Action, Principal
from datacanal.domain.errors import BadField, DatacanalError
from datacanal.protocol.problem import Problem
from datacanal.protocol.site import (
    CatalogueReport,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Poll,
    PollReply,
    Start,
    Welcome,
)
from datacanal.serving.bodies import read_document, stream_body
from datacanal.serving.departure import watching
from datacanal.serving.problems import problem_response

# A catalogue of thousands of columns is larger than any other message.
MAX_CATALOGUE_BYTES = 64 * 2**20
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def site_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """What agents call."""
    router = APIRouter(prefix="/v1/site", tags=["site protocol"])
    acting = permitted(Action.ACT_AS_SITE)
    _add_session(router, plane, acting)
    _add_attempts(router, plane, acting)
    _add_uploads(router, plane, acting)
    return router


def _add_session(router: APIRouter, plane: Plane, acting: Principal) -> None:
    @router.post("/hello", response_model=Welcome, responses=problems(409, body=True), openapi_extra=json_body(Hello))
    async def hello(request: Request, caller: Principal = acting) -> Response:
        """Begin a session."""
        return answer(await plane.coordinator.hello(caller, await read_document(request, Hello)))

    @router.post(
        "/catalogue",
        status_code=204,
        responses=problems(409, body=True),
        openapi_extra=json_body(CatalogueReport),
    )
    async def catalogue(request: Request, caller: Principal = acting) -> Response:
        """Report all datasets."""
        report = await read_document(request, CatalogueReport, MAX_CATALOGUE_BYTES)
        await plane.coordinator.report_catalogue(caller, report)
        return nothing()

    @router.post("/poll", response_model=PollReply, responses=problems(409, body=True), openapi_extra=json_body(Poll))
    async def poll(request: Request, caller: Principal = acting) -> Response:
        """Wait for work."""
        wanted = await read_document(request, Poll)
        async with watching(request) as departure:
            return answer(await plane.coordinator.poll(caller, wanted, departure))

    @router.post(
        "/heartbeat",
        response_model=HeartbeatReply,
        responses=problems(409, body=True),
        openapi_extra=json_body(Heartbeat),
    )
    async def heartbeat(request: Request, caller: Principal = acting) -> Response:
        """Keep leases alive."""
        return answer(await plane.coordinator.heartbeat(caller, await read_document(request, Heartbeat)))


def _add_attempts(router: APIRouter, plane: Plane, acting: Principal) -> None:
    @router.post(
        "/jobs/{job}/steps/{step}/start",
        status_code=204,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Start),
    )
    async def start(request: Request, job: str, step: str, caller: Principal = acting) -> Response:
        """The attempt runs."""
        await plane.coordinator.start(caller, job, step, await read_document(request, Start))
        return nothing()

    @router.post(
        "/jobs/{job}/steps/{step}/finish",
        status_code=204,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Finish),
    )
    async def finish(request: Request, job: str, step: str, caller: Principal = acting) -> Response:
        """The attempt ended."""
        await plane.coordinator.finish(caller, job, step, await read_document(request, Finish))
        return nothing()


def _add_uploads(router: APIRouter, plane: Plane, acting: Principal) -> None:
    binary = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}}

    @router.post("/uploads/{upload}", status_code=204, responses=problems(404, 408), openapi_extra=binary)
    async def send(
        request: Request,
        upload: str,
        length: Annotated[int, Header(alias="Datacanal-Length", ge=0, le=2**53)],
        digest: Annotated[str, Header(alias="Datacanal-Digest", pattern=_SHA256.pattern)],
        caller: Principal = acting,
    ) -> Response:
        """Send an export, from the offset asked for on, to the client who waits for it."""
        waiting = plane.relay.find(upload, caller.name)
        if length < waiting.command.offset:
            waiting.begin_empty(Head(length, digest))
            raise BadField(field="Datacanal-Length", reason="the export ends before the offset asked for")
        try:
            await waiting.send(Head(length, digest), stream_body(request))
        except DatacanalError as error:
            refusal = problem_response(error)
            refusal.headers["Connection"] = "close"  # else the agent would go on sending what nobody wants
            return refusal
        return nothing()

    @router.post(
        "/uploads/{upload}/refuse",
        status_code=204,
        responses=problems(404, body=True),
        openapi_extra=json_body(Problem),
    )
    async def refuse(request: Request, upload: str, caller: Principal = acting) -> Response:
        """Say why an export cannot be sent."""
        waiting = plane.relay.find(upload, caller.name)
        waiting.refuse(await read_document(request, Problem))
        return nothing()
