"""What the head of an answer says of the answer itself, whoever asked for it and whatever it was charged."""

from __future__ import annotations

from datacanal.gateway.asked import Asked
from datacanal.gateway.calls import CACHING, Headers, suffix_of
from datacanal.gateway.documents import moment
from datacanal.gateway.executions import Usage
from datacanal.gateway.negotiation import MEDIA_TYPES
from datacanal.gateway.view import Release


def etag_of(asked: Asked, encoding: str) -> str:
    """The strong ETag of a page in that encoding."""
    return f'"{asked.digest}{suffix_of(encoding)}"'


def head_of(asked: Asked, encoding: str) -> Headers:
    """What every answer with a body says."""
    etag = etag_of(asked, encoding).encode()
    headers = [(b"content-type", MEDIA_TYPES[asked.format].encode()), (b"etag", etag), *CACHING]
    if encoding != "identity":
        headers.append((b"content-encoding", encoding.encode()))
    return [*headers, *version_fields(asked.release)]


def page_head(asked: Asked, encoding: str, size: int, usage: Usage) -> Headers:
    """What an answer says that is there whole; `size` is that of its body in this encoding."""
    return [*head_of(asked, encoding), (b"content-length", str(size).encode()), *next_fields(usage)]


def version_fields(release: Release) -> Headers:
    """Which version answers."""
    return [
        (b"datacanal-snapshot", release.snapshot.encode()),
        (b"datacanal-as-of", (moment(release.served_at) or "").encode()),
        (b"datacanal-version", release.version.encode()),
    ]


def next_fields(usage: Usage) -> Headers:
    """The page after this one."""
    return [] if usage.next is None else [(b"link", f'<{usage.next}>; rel="next"'.encode())]
