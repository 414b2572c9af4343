"""The hash chain of the book: what of an event is hashed, and how one hash follows from the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

BEGINNING = "0" * 64
"""What stands for the hash before the first event."""

FIELDS = (
    "seq", "id", "kind", "outcome", "at", "reserved_at", "tenant", "principal", "account_id", "subscription_id",
    "key_id", "request_id", "product", "version", "snapshot", "query_digest", "policy_digest", "tariff_id", "unit",
    "calls", "rows", "bytes", "compute_ms", "units", "scan_bytes", "egress_bytes", "worker_ms", "corrects", "reason",
)  # fmt: skip
"""Every column of an event but its hash, in the order that they are hashed in."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def canonical(event: Mapping[str, Any]) -> str:
    """The text of an event that is hashed: a JSON array of `FIELDS`, instants in UTC with microseconds."""
    return text_of([_plain(event[name]) for name in FIELDS])


def link(before: str, event: Mapping[str, Any]) -> str:
    """The hash (sha256, hex) of an event that follows the event of that hash."""
    return link_text(before, canonical(event))


def text_of(values: Sequence[Any]) -> str:
    """The canonical text from the values of `FIELDS`, instants as `instant` writes them."""
    return _JSON(values)


def link_text(before: str, canonical_text: str) -> str:
    """`link` of an event whose canonical text is there."""
    return hashlib.sha256(f"{before}\n{canonical_text}".encode("utf-8", "surrogatepass")).hexdigest()


def instant(at: datetime) -> str:
    """How the canonical text writes an instant."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value
