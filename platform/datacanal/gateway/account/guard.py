"""Who calls an account route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from datacanal.domain.access import Principal
from datacanal.domain.metering_errors import KeyNotEnough, ScopeMissing, SubscriptionNotActive
from datacanal.gateway.account.services import Services
from datacanal.gateway.callers import caller_of
from datacanal.ledger.entitled import HeldKey
from datacanal.serving.queries import check_query

_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="a token, an API key or an access token")
_SCOPE = "account"
_OF_PRODUCTS = "/v1/products/"


@dataclass(frozen=True)
class Caller(Principal):
    """The principal that calls, and the key that it calls with where it does."""

    key: HeldKey | None = None


def caller_guard(services: Services) -> Any:
    """The dependency that yields the `Caller`."""

    async def caller(
        request: Request, _given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Caller:
        await services.catch_up()
        found = _found(services, request.headers.get("authorization"))
        if found.key is not None:
            _check_key(found.key, request)
        check_query(request)
        return found

    return Depends(caller)


def _found(services: Services, authorization: str | None) -> Caller:
    scheme, _, text = (authorization or "").partition(" ")
    bearer = services.bearers.bearer_of(text.strip(), services.now()) if scheme.lower() == "bearer" else None
    who = caller_of(services.views(), authorization, services.now()) if bearer is None else bearer.principal
    return Caller(who.tenant, who.name, who.role, who.groups, bearer.key if bearer else None)


def _check_key(key: HeldKey, request: Request) -> None:
    """A key reads what its own account has, and nothing of what its owner may do besides."""
    if key.state != "active":
        raise SubscriptionNotActive(subscription=key.terms.subscription, product=key.terms.product, state=key.state)
    if _SCOPE not in key.scopes:
        raise ScopeMissing(key=key.id, scope=_SCOPE)
    if request.method != "GET":
        raise KeyNotEnough(action="change anything")
    if request.url.path.startswith(_OF_PRODUCTS):
        raise KeyNotEnough(action="do what a product's publisher does")
