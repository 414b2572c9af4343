"""Query parameters of a route: none is ignored."""

from __future__ import annotations

from collections import Counter

from fastapi import Request
from fastapi.routing import APIRoute

from datacanal.domain.errors import BadField


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
