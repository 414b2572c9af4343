"""The hash chain of the book: what of an event is hashed, and how one hash follows from the one before.

A hash is made of the hash before it and the digest of the event, so that who is shown the digests of other events can
follow the chain through them without learning what they hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
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


def instant(at: datetime) -> str:
    """The instant as it is hashed and signed: in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(values: Sequence[object]) -> str:
    """The text of an event that is hashed: a JSON array of the values of `FIELDS`, instants as `instant` writes them.

    Raises `TypeError` for a value that no event has.
    """
    return _JSON(values)


def canonical_of_call(values: Sequence[Any]) -> str:
    """The same text, made faster: what many calls have in common is written once.

    `values` is a tuple in which instants are texts already, as `instant` makes them.
    """
    seq, name, kind, outcome, at, reserved_at, *_ = values
    first = f'{seq},{encode_basestring(name)},"{kind}","{outcome}","{at}","{reserved_at}"'
    return (
        f"[{first},{_part(values[6:11])},{encode_basestring(values[11])},{_part(values[12:19])},"
        f"{','.join(map(str, values[19:27]))},{_part(values[27:])}]"
    )


def digest(values: Sequence[object]) -> str:
    """sha256 (hex) of an event's canonical text."""
    return digest_of(canonical(values))


def digest_of(text: str) -> str:
    """sha256 (hex) of a canonical text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def follow(before: str, digest_of_event: str) -> str:
    """The hash (sha256, hex) of an event of this digest that follows the event of that hash."""
    return hashlib.sha256(f"{before}\n{digest_of_event}".encode()).hexdigest()


@lru_cache(1000)
def _part(values: tuple[object, ...]) -> str:
    return _JSON(values)[1:-1]
