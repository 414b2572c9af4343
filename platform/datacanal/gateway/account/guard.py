"""Who calls an account route."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from datacanal.domain.access import Principal
from datacanal.gateway.account.services import Services
from datacanal.gateway.callers import caller_of
from datacanal.serving.queries import check_query

_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="a token: dct_…")


def caller_guard(services: Services) -> Any:
    """The dependency that yields the principal that calls."""

    async def principal(
        request: Request, _given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Principal:
        caller = caller_of(services.views(), request.headers.get("authorization"), services.now())
        check_query(request)
        return caller

    return Depends(principal)
