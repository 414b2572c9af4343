"""What stands before every route: who calls, whether they may, and whether the query makes sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from datacanal.control.joining import Member
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal, check_permitted
from datacanal.serving.protocol import peer_of
from datacanal.serving.queries import check_query

BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="a token: dct_…")

Guard = Callable[[Action], Any]


def guard_of(plane: Plane) -> Guard:
    """Makes the dependency that yields the principal of a permitted call."""

    def permitted(action: Action) -> Any:
        async def principal(
            request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
        ) -> Principal:
            caller = plane.tokens.principal(given.credentials if given is not None else None)
            check_permitted(caller, action)
            check_query(request)
            return caller

        return Depends(principal)

    return permitted


def site_guard(plane: Plane) -> Any:
    """The dependency that yields the site whose certificate the caller holds."""

    async def member(request: Request) -> Member:
        found = plane.members.member(peer_of(request.scope))
        check_query(request)
        return found

    return Depends(member)
