"""The hash chain of the book: what of an event is hashed, and how one hash follows from the one before.

A hash is made of the hash before it and the digest of the event, so that who is shown the digests of other events can
follow the chain through them without learning what they hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

BEGINNING = "0" * 64
"""What stands for the hash before the first event."""

FIELDS = (
    "seq", "id", "kind", "outcome", "at", "reserved_at", "tenant", "principal", "account_id", "subscription_id",
    "key_id", "request_id", "product", "version", "snapshot", "query_digest", "policy_digest", "tariff_id", "unit",
    "calls", "rows", "bytes", "compute_ms", "units", "scan_bytes", "egress_bytes", "worker_ms", "corrects", "reason",
)  # fmt: skip
"""Every column of an event but its hash, in the order that they are hashed in."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def instant(at: datetime) -> str:
    """The instant as it is hashed and signed: in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(values: Sequence[object]) -> str:
    """The text of an event that is hashed: a JSON array of the values of `FIELDS`, instants as `instant` writes them.

    Raises `TypeError` for a value that no event has.
    """
    return _JSON(values)


def digest(values: Sequence[object]) -> str:
    """sha256 (hex) of an event's canonical text."""
    return hashlib.sha256(canonical(values).encode("utf-8", "surrogatepass")).hexdigest()


def follow(before: str, digest_of_event: str) -> str:
    """The hash (sha256, hex) of an event of this digest that follows the event of that hash."""
    return hashlib.sha256(f"{before}\n{digest_of_event}".encode()).hexdigest()
