"""Lists page by page. A page begins after an id, so that what comes and goes moves nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol
from urllib.parse import urlencode

from fastapi import Query

from datacanal.domain.product_errors import BadCursor
from datacanal.ledger.asking import Slice
from datacanal.protocol.accounts import Page

Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
Cursor = Annotated[str | None, Query(max_length=1000, description="from `page.next`")]
LIMIT = 50


class Identified(Protocol):
    @property
    def id(self) -> str: ...


def slice_of(limit: int, cursor: str | None, given: Mapping[str, str | None]) -> Slice:
    """Which part of the list is asked for, of those that the filters leave. Raises `BadCursor`."""
    return Slice(limit, None if cursor is None else _after(cursor, given))


def page_of(path: str, part: Slice, given: Mapping[str, str | None], shown: Sequence[Identified], more: bool) -> Page:
    """Where the list goes on."""
    if not more:
        return Page(next=None)
    filters = {name: value for name, value in given.items() if value is not None}
    cursor = base64.urlsafe_b64encode(json.dumps([filters, shown[-1].id]).encode()).rstrip(b"=").decode()
    return Page(next=f"{path}?{urlencode({**filters, 'limit': part.limit, 'cursor': cursor})}")


def _after(cursor: str, given: Mapping[str, str | None]) -> str:
    """Unsigned: it gives no right, as every page is made of what its caller may see."""
    try:
        filters, last = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise BadCursor(reason="it is damaged or was cut short") from None
    if filters != {name: value for name, value in given.items() if value is not None} or not isinstance(last, str):
        raise BadCursor(reason="what is asked for must stay as it was on the first page")
    if not last.isprintable():
        raise BadCursor(reason="it is damaged or was cut short")
    return last
