"""Access tokens of our own making: signed texts (JWT) that stand for an API key, or for a person who signed in.

Every gateway of a home reads what another one signed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OKPKey

from datacanal.domain.access import Principal
from datacanal.domain.errors import Unauthenticated
from datacanal.homes import kept_secret
from datacanal.ledger.entitled import HeldKey

KEY_TOKEN_S = 900
PERSON_TOKEN_S = 8 * 3600
_FILE = "tokens.key"
_ALGORITHM = "Ed25519"
_REMEMBERED = 1024  # texts whose signature was found good: checking one takes longer than a page from memory
_ISSUER = "datacanal"


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """A key by its id, for at most these scopes."""

    key: str
    scopes: frozenset[str]


class AccessTokens:
    """Signs, and reads what was signed. `use` keeps texts of one kind from being taken for those of another."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key
        self._signed = lru_cache(_REMEMBERED)(self._claims_of)

    def sign(self, use: str, claims: dict[str, Any], until: datetime) -> str:
        """The claims as a text that holds until then (whole seconds)."""
        own = {"iss": _ISSUER, "aud": use, "exp": int(until.timestamp())}
        return jwt.encode({"alg": _ALGORITHM}, {**claims, **own}, self._key, algorithms=[_ALGORITHM])

    def claims(self, use: str, text: str, now: datetime) -> dict[str, Any]:
        """What was signed for that use. Raises `Unauthenticated`."""
        must = {name: {"essential": True, "value": value} for name, value in (("iss", _ISSUER), ("aud", use))}
        try:
            claims = self._signed(text)
            rules = jwt.JWTClaimsRegistry(now=int(now.timestamp()), exp={"essential": True}, **must)  # type: ignore[arg-type]  # the library's option type is a TypedDict
            rules.validate(claims)
        except ExpiredTokenError:
            raise Unauthenticated(reason="the access token has expired") from None
        except (JoseError, ValueError, RecursionError):
            raise Unauthenticated(reason="the access token is wrong") from None
        return claims

    def for_key(self, held: HeldKey, scopes: Collection[str], now: datetime) -> tuple[str, datetime]:
        """A token for the key, which never outlives it; and until when it holds."""
        until = now + timedelta(seconds=KEY_TOKEN_S)
        if held.expires_at is not None:
            until = min(until, held.expires_at)
        return self.sign("key", {"sub": held.id, "scope": " ".join(sorted(scopes))}, until), until

    def for_person(self, principal: Principal, now: datetime) -> tuple[str, datetime]:
        """A token for somebody who signed in; and until when it holds."""
        until = (now + timedelta(seconds=PERSON_TOKEN_S)).astimezone(UTC).replace(microsecond=0)
        claims = {"sub": principal.name, "tenant": principal.tenant, "groups": list(principal.groups)}
        return self.sign("person", claims, until), until

    def read(self, text: str, now: datetime) -> KeyGrant | Principal:
        """Whom a token stands for; a person is a developer. Raises `Unauthenticated`."""
        try:
            said = self.claims("key", text, now)
        except Unauthenticated:
            said = self.claims("person", text, now)
            return Principal(said["tenant"], said["sub"], "developer", tuple(said["groups"]))
        return KeyGrant(said["sub"], frozenset(said["scope"].split()))

    def _claims_of(self, text: str) -> dict[str, Any]:
        return dict(jwt.decode(text, self._key, algorithms=[_ALGORITHM]).claims)


def is_access_token(text: str) -> bool:
    """Whether it looks like a signed text, which neither a token of the service nor a key does."""
    return text.count(".") == 2


def access_tokens_of(home: Path) -> AccessTokens:
    """With the home's key, made by whoever asks first."""
    made = kept_secret(home, _FILE, lambda: OKPKey.generate_key("Ed25519").as_pem(private=True))
    return AccessTokens(OKPKey.import_key(made))
