"""Addresses and query parameters of a route: none is ignored, none holds what no text of a database can."""

from __future__ import annotations

from collections import Counter

from fastapi import Request
from fastapi.routing import APIRoute

from datacanal.domain.errors import BadField, NotFound

_NUL = "\0"


def check_query(request: Request) -> None:
    """Refuse parameters that the route does not know, and those given twice, instead of ignoring them."""
    _check_texts(request)
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params} if isinstance(route, APIRoute) else set()
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, times in given.items():
        if name not in known:
            hint = f"the query parameters here are {', '.join(sorted(known))}" if known else "there is none here"
            raise BadField(field=name[:100], reason=f"this query parameter is not known; {hint}")
        if times > 1:
            raise BadField(field=name, reason="this query parameter is given more than once")


def _check_texts(request: Request) -> None:
    if _NUL in request.scope["path"]:
        raise NotFound(what="address", name=request.scope["path"][:200])
    for name, value in request.query_params.multi_items():
        if _NUL in name + value:
            raise BadField(field=name[:100], reason="it holds a NUL character")
