"""Routes of the site protocol (see `datacanal.protocol.site`)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials

from datacanal.control.api.guard import BEARER
from datacanal.control.api.streams import PassedOn
from datacanal.control.joining import Member
from datacanal.control.plane import Plane
from datacanal.control.products.sharing import shared_products
from datacanal.control.uploads import Head
from datacanal.domain.errors import BadField, DatacanalError, Forbidden, NotFound, SiteUnreachable, Unauthenticated
from datacanal.ledger.subscribed import subscribers
from datacanal.protocol.problem import Problem
from datacanal.protocol.site import (
    CatalogueReport,
    ConsentAnswer,
    Door,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Join,
    Joined,
    Poll,
    PollReply,
    RelayAsk,
    SharedProducts,
    Start,
    Welcome,
)
from datacanal.serving.answers import answer, nothing
from datacanal.serving.bodies import read_document, stream_body
from datacanal.serving.departure import watching
from datacanal.serving.documents import json_body, problems
from datacanal.serving.problems import problem_response
from datacanal.serving.queries import check_query

# A catalogue of thousands of columns is larger than any other message.
MAX_CATALOGUE_BYTES = 64 * 2**20
_BINARY = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}}
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def join_routes(plane: Plane, door_at: Callable[[str], str]) -> APIRouter:
    """How a site joins, and finds its door again. These two are public; the token and the door prove themselves."""
    router = APIRouter(prefix="/v1/site", tags=["joining"])

    @router.post("/join", response_model=Joined, responses=problems(body=True), openapi_extra=json_body(Join))
    async def join(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> Response:
        """Let a site's certificate in, for a one-time token."""
        check_query(request)
        wanted = await read_document(request, Join)
        if given is None:
            raise Unauthenticated(reason="the Authorization header with a Bearer token is missing")
        member = await plane.members.join(given.credentials, wanted)
        plane.coordinator.forget(member.tenant, member.site)
        door = door_at(request.headers.get("host", ""))
        return answer(Joined(door=door, certificate=plane.door.certificate, issuer=plane.issuer.public))

    @router.get("/door", response_model=Door, responses={400: problems()[400]})
    async def door(request: Request) -> Response:
        """Where the sites' door is now; whoever asks knows its certificate already, or has no use for it."""
        check_query(request)
        return answer(Door(door=door_at(request.headers.get("host", ""))))

    return router


def site_routes(plane: Plane, acting: Any) -> APIRouter:
    """What agents call, at the door where each shows its certificate."""
    router = APIRouter(prefix="/v1/site", tags=["site protocol"])
    _add_session(router, plane, acting)
    _add_attempts(router, plane, acting)
    _add_uploads(router, plane, acting)
    _add_relays(router, plane, acting)
    _add_consents(router, plane, acting)
    _add_products(router, plane, acting)
    return router


def _own_hello(caller: Member, hello: Hello) -> Hello:
    """Transfers are made for the key in the hello, so it must be the caller's own."""
    if hello.public_key != caller.certificate.key:
        action = "have transfers made for another key than that of its certificate"
        raise Forbidden(role=f"site {caller.site}", action=action, allowed="its own key")
    return hello


def _add_session(router: APIRouter, plane: Plane, acting: Any) -> None:
    @router.post("/hello", response_model=Welcome, responses=problems(409, body=True), openapi_extra=json_body(Hello))
    async def hello(request: Request, caller: Member = acting) -> Response:
        """Begin a session."""
        return answer(
            await plane.coordinator.hello(caller.principal, _own_hello(caller, await read_document(request, Hello)))
        )

    @router.post(
        "/catalogue",
        status_code=204,
        responses=problems(409, body=True),
        openapi_extra=json_body(CatalogueReport),
    )
    async def catalogue(request: Request, caller: Member = acting) -> Response:
        """Report all datasets."""
        report = await read_document(request, CatalogueReport, MAX_CATALOGUE_BYTES)
        await plane.coordinator.report_catalogue(caller.principal, report)
        return nothing()

    @router.post("/poll", response_model=PollReply, responses=problems(409, body=True), openapi_extra=json_body(Poll))
    async def poll(request: Request, caller: Member = acting) -> Response:
        """Wait for work."""
        wanted = await read_document(request, Poll)
        async with watching(request) as departure:
            return answer(await plane.coordinator.poll(caller.principal, wanted, departure))

    @router.post(
        "/heartbeat",
        response_model=HeartbeatReply,
        responses=problems(409, body=True),
        openapi_extra=json_body(Heartbeat),
    )
    async def heartbeat(request: Request, caller: Member = acting) -> Response:
        """Keep leases alive."""
        return answer(await plane.coordinator.heartbeat(caller.principal, await read_document(request, Heartbeat)))


def _add_attempts(router: APIRouter, plane: Plane, acting: Any) -> None:
    @router.post(
        "/jobs/{job}/steps/{step}/start",
        status_code=204,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Start),
    )
    async def start(request: Request, job: str, step: str, caller: Member = acting) -> Response:
        """The attempt runs."""
        await plane.coordinator.start(caller.principal, job, step, await read_document(request, Start))
        return nothing()

    @router.post(
        "/jobs/{job}/steps/{step}/finish",
        status_code=204,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Finish),
    )
    async def finish(request: Request, job: str, step: str, caller: Member = acting) -> Response:
        """The attempt ended."""
        await plane.coordinator.finish(caller.principal, job, step, await read_document(request, Finish))
        return nothing()


def _add_uploads(router: APIRouter, plane: Plane, acting: Any) -> None:
    @router.post("/uploads/{upload}", status_code=204, responses=problems(404, 408), openapi_extra=_BINARY)
    async def send(
        request: Request,
        upload: str,
        length: Annotated[int, Header(alias="Datacanal-Length", ge=0, le=2**53)],
        digest: Annotated[str, Header(alias="Datacanal-Digest", pattern=_SHA256.pattern)],
        caller: Member = acting,
    ) -> Response:
        """Send an export, from the offset asked for on, to the client who waits for it."""
        waiting = plane.relay.find(upload, caller.site)
        if length < waiting.offset:
            waiting.begin_empty(Head(length, digest))
            raise BadField(field="Datacanal-Length", reason="the export ends before the offset asked for")
        try:
            await waiting.send(Head(length, digest), stream_body(request))
        except DatacanalError as error:
            return _unwanted(error)
        return nothing()

    @router.post(
        "/uploads/{upload}/refuse",
        status_code=204,
        responses=problems(404, body=True),
        openapi_extra=json_body(Problem),
    )
    async def refuse(request: Request, upload: str, caller: Member = acting) -> Response:
        """Say why an export cannot be sent."""
        waiting = plane.relay.find(upload, caller.site)
        waiting.refuse(await read_document(request, Problem))
        return nothing()


def _add_relays(router: APIRouter, plane: Plane, acting: Any) -> None:
    sealed: dict[int | str, dict[str, Any]] = {
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    }

    @router.post(
        "/relay",
        response_class=Response,
        responses={**sealed, **problems(404, 409, 410, 503, body=True)},
        openapi_extra=json_body(RelayAsk),
    )
    async def ask(request: Request, caller: Member = acting) -> Response:
        """Fetch from another site through here: what comes is sealed for the caller by the sender."""
        wanted = await read_document(request, RelayAsk)
        await plane.coordinator.check_session(caller.principal, wanted.session)
        if wanted.site not in plane.catalogue.known(caller.tenant).sites:
            raise NotFound(what="site", name=wanted.site)
        if absence := plane.coordinator.absence(caller.tenant, wanted.site):
            raise SiteUnreachable(site=wanted.site, reason=absence)
        async with AsyncExitStack() as stack:
            relay = stack.enter_context(plane.relays.requested(wanted))
            await relay.begun()
            return PassedOn(relay.chunks, stack.pop_all(), media_type="application/octet-stream")
        raise AssertionError("unreachable")

    @router.post("/relays/{relay}", status_code=204, responses=problems(404, 408), openapi_extra=_BINARY)
    async def serve(request: Request, relay: str, caller: Member = acting) -> Response:
        """Send what was asked for through the relay, sealed."""
        try:
            await plane.relays.find(relay, caller.site).send(stream_body(request))
        except DatacanalError as error:
            return _unwanted(error)
        return nothing()

    @router.post(
        "/relays/{relay}/refuse",
        status_code=204,
        responses=problems(404, body=True),
        openapi_extra=json_body(Problem),
    )
    async def decline(request: Request, relay: str, caller: Member = acting) -> Response:
        """Say why a fetch is not served."""
        waiting = plane.relays.find(relay, caller.site)
        waiting.refuse(await read_document(request, Problem))
        return nothing()


def _add_consents(router: APIRouter, plane: Plane, acting: Any) -> None:
    @router.post(
        "/consents/{consent}",
        status_code=204,
        responses=problems(404, body=True),
        openapi_extra=json_body(ConsentAnswer),
    )
    async def consent(request: Request, consent: str, caller: Member = acting) -> Response:
        """Say whether the owners agree that something is published."""
        said = await read_document(request, ConsentAnswer)
        plane.products.owners.take(consent, caller.site, said)
        return nothing()

    @router.post(
        "/consents/{consent}/refuse",
        status_code=204,
        responses=problems(404, body=True),
        openapi_extra=json_body(Problem),
    )
    async def no_answer(request: Request, consent: str, caller: Member = acting) -> Response:
        """Say why the owners cannot be asked."""
        said = await read_document(request, Problem)
        plane.products.owners.refuse(consent, caller.site, said)
        return nothing()


def _add_products(router: APIRouter, plane: Plane, acting: Any) -> None:
    @router.get("/products", response_model=SharedProducts, responses=problems())
    async def products(caller: Member = acting) -> Response:
        """The stable snapshots of data products, for the site whose lake they are."""
        subscribed = await asyncio.to_thread(_subscribed, plane, caller.tenant)
        return answer(await plane.desk.read(lambda session: shared_products(session, caller.tenant, subscribed)))


def _subscribed(plane: Plane, tenant: str) -> Mapping[str, frozenset[str]]:
    with plane.ledger.reading_rows() as session:
        return subscribers(session, tenant)


def _unwanted(error: DatacanalError) -> Response:
    refusal = problem_response(error)
    refusal.headers["Connection"] = "close"  # else the agent would go on sending what nobody wants
    return refusal
