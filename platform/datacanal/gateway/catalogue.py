"""The catalogue page by page. A page begins after a name, so that products that come and go move nothing."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from datacanal.domain.product_errors import BadCursor
from datacanal.gateway.callers import Caller
from datacanal.gateway.documents import found, summary
from datacanal.gateway.parameters import number, wrong
from datacanal.gateway.view import View

_LIMIT = 50
_MOST = 200
_LONGEST_WORDS = 200


def catalogue_page(view: View, caller: Caller, given: dict[str, str]) -> dict[str, Any]:
    """The products that hold the words of `q`. Raises `InvalidParameters` and `BadCursor`."""
    words = given.get("q", "")
    if len(words) > _LONGEST_WORDS:
        raise wrong("q", f"it is longer than {_LONGEST_WORDS} characters")
    limit = number(given.get("limit"), "limit", _LIMIT, _MOST)
    after = _after(given["cursor"], words) if "cursor" in given else ""
    products = [each for each in found(view, caller, words) if each.name > after]
    following = None
    if len(products) > limit:
        following = f"/v1/products?q={quote(words)}&limit={limit}&cursor={_cursor(words, products[limit - 1].name)}"
    return {"products": [summary(each, caller) for each in products[:limit]], "page": {"next": following}}


def _cursor(words: str, name: str) -> str:
    """Unsigned: it gives no right, as every page is made of what its caller may see."""
    return base64.urlsafe_b64encode(json.dumps([words, name]).encode()).rstrip(b"=").decode()


def _after(cursor: str, words: str) -> str:
    try:
        of_words, name = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise BadCursor(reason="it is damaged or was cut short") from None
    if of_words != words or not isinstance(name, str):
        raise BadCursor(reason="q must stay as it was on the first page")
    return name
