"""Whom an API key, or an access token in its place, speaks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from datacanal.domain.access import Principal
from datacanal.domain.errors import Unauthenticated
from datacanal.domain.metering_errors import KeyExpired, KeyRevoked, KeyWrong
from datacanal.gateway.access_tokens import AccessTokens, KeyGrant, is_access_token
from datacanal.ledger.directory import Directory
from datacanal.ledger.entitled import HeldKey
from datacanal.ledger.keys import PREFIX, digest_of, is_secret_of, parsed


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who calls: with a key its account's principal, for the key's scopes alone; without one somebody signed in."""

    principal: Principal
    key: HeldKey | None = None


class Bearers:
    """Reads what an Authorization header holds besides the service's own tokens. Belongs to one event loop."""

    def __init__(self, directory: Directory, pepper: bytes, tokens: AccessTokens) -> None:
        self._directory = directory
        self._pepper = pepper
        self._tokens = tokens

    def bearer_of(self, text: str, now: datetime) -> Bearer | None:
        """Who it speaks for; None where it is neither a key nor an access token.

        Raises `KeyMalformed`, `KeyWrong`, `KeyRevoked`, `KeyExpired`, `Unauthenticated`.
        """
        if is_key(text):
            return bearer_by(self.key(text, now))
        if not is_access_token(text):
            return None
        granted = self._tokens.read(text, now)
        return Bearer(granted) if isinstance(granted, Principal) else bearer_by(self._granted(granted, now))

    def key(self, text: str, now: datetime) -> HeldKey:
        """The key of that text. What became of it is told to who has its secret; an unknown id takes as long."""
        given = parsed(text)
        digest = digest_of(self._pepper, given.secret)
        key = self._directory.key(given.id)
        if not is_secret_of(key.digest if key else None, digest) or key is None or key.mode != given.mode:
            raise KeyWrong
        return _holding(key, now)

    def _granted(self, grant: KeyGrant, now: datetime) -> HeldKey:
        key = self._directory.key(grant.key)
        if key is None:
            raise Unauthenticated(reason="the access token is for a key that does not exist")
        return replace(_holding(key, now), scopes=key.scopes & grant.scopes)


def is_key(text: str) -> bool:
    """Whether it is meant as an API key."""
    return text.startswith(PREFIX)


def bearer_by(key: HeldKey) -> Bearer:
    """Who calls with a key: the principal of its account."""
    return Bearer(Principal(key.terms.tenant, key.owner, "developer"), key)


def _holding(key: HeldKey, now: datetime) -> HeldKey:
    if key.revoked_at is not None:
        raise KeyRevoked(key=key.id, revoked_at=key.revoked_at.date().isoformat())
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyExpired(key=key.id, expired_at=key.expires_at.date().isoformat())
    return key
