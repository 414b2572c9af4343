"""Routes by which people sign in, in a browser or from a program on their machine."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import RedirectResponse

from datacanal.domain.access import Principal
from datacanal.domain.metering_errors import SignInNotOffered
from datacanal.gateway.account.asking import made_by
from datacanal.gateway.account.services import Services
from datacanal.gateway.sign_in.flow import ATTEMPT_S, TENANT, Arrival, Codes, SignIn, checked_return
from datacanal.ledger.accounts import Accounts
from datacanal.protocol.accounts import AccountView, Exchange, SignedIn
from datacanal.serving.answers import answer, unkept
from datacanal.serving.bodies import read_document
from datacanal.serving.documents import json_body, problems
from datacanal.serving.queries import check_query

_COOKIE = "datacanal_sign_in"
_PATH = "/v1/sign-in"
_AWAY: dict[int | str, dict[str, Any]] = {
    302: {"description": "to the identity provider, or back to the program that waits"}
}


def sign_in_routes(services: Services) -> APIRouter:
    """Go to the identity provider, come back, and get a token."""
    router = APIRouter(prefix=_PATH, tags=["sign-in"])
    accounts = Accounts(services.store, made_by(services))
    codes = Codes(services.tokens, services.now)
    _add_leaving(router, services)
    _add_returning(router, services, accounts, codes)
    _add_exchange(router, services, accounts, codes)
    return router


def _add_leaving(router: APIRouter, services: Services) -> None:
    @router.get("", status_code=302, responses={**_AWAY, **problems(404, 503)}, dependencies=[Depends(check_query)])
    async def sign_in(
        return_to: Annotated[str | None, Query(max_length=300, description="http://127.0.0.1:PORT/…")] = None,
        challenge: Annotated[
            str | None, Query(max_length=43, description="S256 of what the code is taken with")
        ] = None,
    ) -> Response:
        """To the identity provider."""
        flow = _offered(services)
        address, kept = await flow.begin(checked_return(return_to, challenge))
        response = unkept(RedirectResponse(address, 302))
        response.set_cookie(
            _COOKIE, kept, ATTEMPT_S, path=_PATH, secure=flow.section.is_secured, httponly=True, samesite="lax"
        )
        return response


def _add_returning(router: APIRouter, services: Services, accounts: Accounts, codes: Codes) -> None:
    @router.get("/callback", response_model=SignedIn, responses={**_AWAY, **problems(404, 503)})
    async def callback(request: Request) -> Response:
        """Back from the identity provider, which adds what parameters it likes."""
        flow = _offered(services)
        arrival = await flow.finish(request.cookies.get(_COOKIE), request.query_params)
        account = await asyncio.to_thread(accounts.of_person, arrival.person)
        response = _went_on(services, codes, arrival, account)
        response.delete_cookie(_COOKIE, path=_PATH)
        return response


def _add_exchange(router: APIRouter, services: Services, accounts: Accounts, codes: Codes) -> None:
    @router.post(
        "/exchange",
        response_model=SignedIn,
        responses=problems(body=True),
        openapi_extra=json_body(Exchange),
        dependencies=[Depends(check_query)],
    )
    async def exchange(request: Request) -> Response:
        """The token for a one-time code."""
        given = await read_document(request, Exchange)
        number, groups = codes.take(given.code, given.verifier)
        account = await asyncio.to_thread(accounts.signed_in, number)
        return _token(services, account, groups)


def _offered(services: Services) -> SignIn:
    if services.sign_in is None:
        raise SignInNotOffered
    return services.sign_in


def _went_on(services: Services, codes: Codes, arrival: Arrival, account: AccountView) -> Response:
    if arrival.back is None:
        return _token(services, account, arrival.groups)
    code = codes.make(account.id, arrival.groups, arrival.back.challenge)
    response = unkept(RedirectResponse(f"{arrival.back.address}?{urlencode({'code': code})}", 302))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _token(services: Services, account: AccountView, groups: tuple[str, ...]) -> Response:
    principal = Principal(TENANT, account.principal, "developer", groups)
    token, until = services.tokens.for_person(principal, services.now())
    return unkept(answer(SignedIn(token=token, expires_at=until, account=account)))
