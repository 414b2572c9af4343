"""Routes of API keys."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from datacanal.domain.access import Action
from datacanal.gateway.account.asking import allowed_by, made_by
from datacanal.gateway.account.paging import LIMIT, Cursor, Limit, page_of, slice_of
from datacanal.gateway.account.services import Services
from datacanal.ledger.asking import Asker
from datacanal.ledger.key_ring import KeyRing
from datacanal.ledger.keys import pepper_of
from datacanal.protocol.accounts import KeyList, KeyRequest, KeyView, NewApiKey, Rotation
from datacanal.serving.answers import answer, unkept
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems

_PATH = "/v1/keys"


def key_routes(services: Services, caller: Any) -> APIRouter:
    """Make, see, rotate and revoke API keys."""
    router = APIRouter(prefix=_PATH, tags=["keys"])
    ring = KeyRing(services.store, made_by(services), pepper_of(services.home))
    managing = allowed_by(services, caller)(Action.MANAGE_SUBSCRIPTIONS)
    _add_making(router, ring, managing)
    _add_seeing(router, ring, managing)
    return router


def _add_making(router: APIRouter, ring: KeyRing, managing: Any) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=NewApiKey,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(KeyRequest),
    )
    async def create(request: Request, asker: Asker = managing) -> Response:
        """A new key of an active subscription; the secret is shown this once."""
        wanted = await read_document(request, KeyRequest)
        made = await asyncio.to_thread(ring.create, asker, wanted)
        return _shown_once(made)

    @router.post(
        "/{key}/rotate",
        status_code=201,
        response_model=NewApiKey,
        responses=problems(404, 409, body=True),
        openapi_extra=json_body(Rotation),
    )
    async def rotate(request: Request, key: str, asker: Asker = managing) -> Response:
        """A new key like this one, which ends when they have overlapped."""
        rotation = await read_document(request, Rotation)
        return _shown_once(await asyncio.to_thread(ring.rotate, asker, key, rotation))

    @router.delete("/{key}", response_model=KeyView, responses=problems(404))
    def revoke(key: str, asker: Asker = managing) -> Response:
        """End a key now."""
        return answer(ring.revoke(asker, key))


def _add_seeing(router: APIRouter, ring: KeyRing, managing: Any) -> None:
    @router.get("", response_model=KeyList, responses=problems(404))
    def list_keys(
        subscription: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = LIMIT,
        cursor: Cursor = None,
        asker: Asker = managing,
    ) -> Response:
        """The keys of the caller's account, or of one of its subscriptions, without their secrets."""
        given = {"subscription": subscription}
        part = slice_of(limit, cursor, given)
        shown, more = ring.list_slice(asker, subscription, part)
        return answer(KeyList(keys=shown, page=page_of(_PATH, part, given, shown, more)))

    @router.get("/{key}", response_model=KeyView, responses=problems(404))
    def show(key: str, asker: Asker = managing) -> Response:
        """One key, without its secret."""
        return answer(ring.show(asker, key))


def _shown_once(made: NewApiKey) -> Response:
    return unkept(answer(made, 201, Location=f"{_PATH}/{made.key.id}"))
