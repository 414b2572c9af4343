"""A call as a line of the access record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_REMEMBERED = 1024
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Subject(NamedTuple):
    """Who called, for what; lines have these fields in this order."""

    tenant: str
    principal: str | None
    key: str | None
    subscription: str | None
    product: str
    version: str | None
    snapshot: str | None
    query: str | None
    format: str | None


class Entry(NamedTuple):
    """One call, `at` in seconds since 1970; a line has these fields in this order, those of `subject` in its place."""

    at: float
    request: str
    subject: Subject
    status: int
    receipt: str | None
    rows: int
    bytes: int
    compute_ms: int
    etag_hit: bool


def line_of(entry: Entry) -> str:
    """The line, with its end. Put together by hand, for which the ids, being ours, need no escaping."""
    at, request, subject, status, receipt, rows, size, compute_ms, etag_hit = entry
    receipt_text = "null" if receipt is None else f'"{receipt}"'
    return (
        f'{{"at":"{datetime.fromtimestamp(at, UTC).isoformat()}","request":"{request}",{_fields(subject)},'
        f'"status":{status},"receipt":{receipt_text},"rows":{rows},"bytes":{size},"compute_ms":{compute_ms},'
        f'"etag_hit":{"true" if etag_hit else "false"}}}\n'
    )


@lru_cache(_REMEMBERED)
def _fields(subject: Subject) -> str:
    return _written(subject._asdict())[1:-1]
