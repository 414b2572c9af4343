"""Answer with a JSON document: the same content is the same bytes under the same ETag."""

from __future__ import annotations

import json
from typing import Any

from datacanal.gateway.calls import CACHING, Answer, Call, Headers, content_etag, matches, not_modified
from datacanal.gateway.encoding import encoded
from datacanal.gateway.negotiation import check_accepts, encoding_for

_JSON = "application/json"


def told(call: Call, content: Any, *, fresh: bool = False) -> Answer:
    """The answer with that content; `fresh`: nobody keeps it. Raises `NotAcceptable`."""
    check_accepts(call.header(b"accept") or "", _JSON)
    encoding = encoding_for(call.header(b"accept-encoding") or "")
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    kept: Headers = [] if encoding == "identity" else [(b"content-encoding", encoding.encode())]
    typed: Headers = [(b"content-type", _JSON.encode()), *kept]
    if fresh:
        return Answer(200, [*typed, (b"cache-control", b"no-store")], encoded(text, encoding))
    etag = content_etag(text, encoding)
    if call.method != "POST" and matches(etag, call.header(b"if-none-match")):
        return not_modified(etag, [])
    return Answer(200, [*typed, (b"etag", etag.encode()), *CACHING], encoded(text, encoding))
