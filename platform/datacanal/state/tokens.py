"""What a token's secret says, and when a token has ended: one rule for everybody who lets callers in.

A secret reads `dct_<id>_<hex>`. That of a site's token ends with `_<fingerprint>` of the door that the site joins at,
by which it knows the control plane before it has ever spoken with it.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Protocol


class Ending(Protocol):
    """When a token was revoked or used up, or expires."""

    @property
    def revoked_at(self) -> datetime | None: ...

    @property
    def used_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...


def id_in(secret: str) -> str:
    """The id of the token that this would be the secret of; it is no secret itself."""
    parts = secret.split("_")
    return f"tok_{parts[1]}" if len(parts) in (3, 4) else ""


def digest_of(secret: str) -> str:
    """The secret holds 256 random bits, so one fast hash keeps it; the fingerprint at its end is for the site alone."""
    return hashlib.sha256("_".join(secret.split("_")[:3]).encode("utf-8", "surrogatepass")).hexdigest()


def is_secret_of(digest: str | None, secret: str) -> bool:
    """Whether the token of that digest has this secret; as slow where there is no such token."""
    return hmac.compare_digest(digest or digest_of(""), digest_of(secret)) and digest is not None


def why_ended(token: Ending, now: datetime) -> str | None:
    """Why the token does not hold any more, in words; None while it does."""
    if token.revoked_at is not None:
        return "the token was revoked"
    if token.used_at is not None:
        return "the token was used: it was for one join"
    if token.expires_at is not None and token.expires_at <= now:
        return "the token has expired"
    return None
