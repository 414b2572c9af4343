"""The token endpoint of OAuth 2.0 client credentials (RFC 6749, section 4.4): the client is an API key."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request, Response

from datacanal.domain.errors import DatacanalError
from datacanal.gateway.access_tokens import AccessTokens
from datacanal.gateway.account.services import Services
from datacanal.gateway.bearers import Bearers
from datacanal.ledger.entitled import HeldKey
from datacanal.protocol.oauth import TokenAnswer, TokenGrant, TokenRefusal
from datacanal.serving.answers import answer, unkept
from datacanal.serving.bodies import read_body
from datacanal.serving.documents import problems

_Responses = dict[int | str, dict[str, Any]]
_FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 16 * 1024
_FIELDS = frozenset(TokenGrant.model_fields)
_REFUSALS: _Responses = {
    400: {"model": TokenRefusal, "description": "the request is wrong"},
    401: {"model": TokenRefusal, "description": "the client is wrong, or its key does not hold"},
}
_BODY = {"content": {_FORM: {"schema": TokenGrant.model_json_schema()}}, "required": True}


class _RefusedError(Exception):
    """In the words of the standard."""

    def __init__(self, refusal: TokenRefusal, status: int = 400) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal
        self.status = status


def oauth_routes(services: Services) -> APIRouter:
    """Exchange a key for a token that holds a quarter of an hour."""
    router = APIRouter(prefix="/v1/oauth", tags=["sign-in"])
    described: _Responses = {each: said for each, said in problems(body=True).items() if each in (408, 413)}

    @router.post(
        "/token",
        response_model=TokenAnswer,
        responses={**_REFUSALS, **described},
        openapi_extra={"requestBody": _BODY},
    )
    async def token(request: Request) -> Response:
        """An access token for an API key; revoking the key ends it."""
        await services.catch_up()
        body = await read_body(request, _MOST_BYTES)
        try:
            granted = _granted(services.bearers, services.tokens, request, body, services.now())
        except _RefusedError as error:
            refused = answer(error.refusal, error.status)
            if error.status == 401:
                refused.headers["WWW-Authenticate"] = 'Basic realm="datacanal"'
            return unkept(refused)
        return unkept(answer(granted))

    return router


def _granted(bearers: Bearers, tokens: AccessTokens, request: Request, body: bytes, now: datetime) -> TokenAnswer:
    form = _form(request, body)
    held = _client(bearers, *_credentials(request.headers.get("authorization"), form), now)
    match form.get("grant_type"):
        case "client_credentials":
            pass
        case None:
            raise _refused("invalid_request", "grant_type is missing")
        case _:
            raise _refused("unsupported_grant_type", "the one grant type is client_credentials")
    scopes = frozenset(form["scope"].split()) if "scope" in form else held.scopes
    if not scopes or not scopes <= held.scopes:
        raise _refused("invalid_scope", f"the key has the scopes {' '.join(sorted(held.scopes))}")
    text, until = tokens.for_key(held, scopes, now)
    return TokenAnswer(access_token=text, expires_in=int((until - now).total_seconds()), scope=" ".join(sorted(scopes)))


def _form(request: Request, body: bytes) -> dict[str, str]:
    """The fields that are known; others, and those without a value, are as if they were not there (section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise _refused("invalid_request", f"the body must be {_FORM}")
    if request.url.query:
        raise _refused("invalid_request", "nothing belongs into the address")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    except ValueError:
        raise _refused("invalid_request", "the body is not form-encoded UTF-8") from None
    known = [pair for pair in pairs if pair[0] in _FIELDS]
    if len(dict(known)) < len(known):
        raise _refused("invalid_request", "a field is given more than once")
    return {name: value for name, value in known if value}


def _credentials(authorization: str | None, form: dict[str, str]) -> tuple[str, str]:
    """The client's id and secret, from the one place where they are."""
    in_body = form.get("client_id"), form.get("client_secret")
    if authorization is None:
        if in_body[0] is None or in_body[1] is None:
            raise _unknown_client("client_id and client_secret are needed, in the body or by HTTP Basic")
        return in_body[0], in_body[1]
    if any(in_body):
        raise _refused("invalid_request", "the client proves itself in the body or by HTTP Basic, not both")
    scheme, _, encoded = authorization.partition(" ")
    try:
        number, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except ValueError:
        number = colon = secret = ""
    if scheme.lower() != "basic" or not colon:
        raise _unknown_client("the Authorization header is not HTTP Basic")
    return unquote_plus(number), unquote_plus(secret)


def _client(bearers: Bearers, number: str, secret: str, now: datetime) -> HeldKey:
    """The key that the client is. Why it is none is said as for every key."""
    try:
        held = bearers.key(secret, now)
    except DatacanalError as error:
        raise _unknown_client(error.detail) from None
    if held.id != number:
        raise _unknown_client("client_id is not the id of the key")
    if held.state != "active":
        raise _unknown_client(f"the key's subscription is {held.state}")
    return held


def _unknown_client(why: str) -> _RefusedError:
    return _RefusedError(TokenRefusal(error="invalid_client", error_description=why), 401)


def _refused(error: Any, why: str) -> _RefusedError:
    return _RefusedError(TokenRefusal(error=error, error_description=why))
