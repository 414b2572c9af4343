"""Routes of tokens."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from datacanal.control.api.guard import Guard
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal
from datacanal.protocol.public import NewToken, TokenList, TokenRequest, TokenView
from datacanal.serving.answers import answer
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems


def token_routes(plane: Plane, permitted: Guard) -> APIRouter:
    """Create, list and revoke tokens."""
    router = APIRouter(prefix="/v1/tokens", tags=["tokens"])
    managing = permitted(Action.MANAGE_TOKENS)

    @router.post(
        "",
        status_code=201,
        response_model=NewToken,
        responses=problems(body=True),
        openapi_extra=json_body(TokenRequest),
    )
    async def create(request: Request, caller: Principal = managing) -> Response:
        """A new token; the secret is shown this once."""
        made = await plane.tokens.create(caller, await read_document(request, TokenRequest))
        return answer(made, 201, Location=f"/v1/tokens/{made.token.id}")

    @router.get("", response_model=TokenList, responses=problems())
    async def list_tokens(caller: Principal = managing) -> Response:
        """Every token, without secrets."""
        return answer(plane.tokens.list_all(caller))

    @router.delete("/{token}", response_model=TokenView, responses=problems(404))
    async def revoke(token: str, caller: Principal = managing) -> Response:
        """End a token now."""
        return answer(await plane.tokens.revoke(caller, token))

    return router
