"""What stands before every route: who calls, whether they may, and whether the query makes sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from datacanal.control.joining import Member
from datacanal.control.plane import Plane
from datacanal.domain.access import Action, Principal, check_permitted
from datacanal.domain.errors import BadField
from datacanal.serving.protocol import peer_of

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


def check_query(request: Request) -> None:
    """Refuse parameters that the route does not know, and those given twice, instead of ignoring them."""
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params} if isinstance(route, APIRoute) else set()
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, times in given.items():
        if name not in known:
            hint = f"the query parameters here are {', '.join(sorted(known))}" if known else "there is none here"
            raise BadField(field=name[:100], reason=f"this query parameter is not known; {hint}")
        if times > 1:
            raise BadField(field=name, reason="this query parameter is given more than once")
