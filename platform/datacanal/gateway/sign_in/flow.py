"""A sign-in from its first page to the token: an attempt in a cookie, a person, a one-time code for programs."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from datacanal.domain.errors import BadField, Unauthenticated
from datacanal.domain.metering_errors import SignInRefused
from datacanal.gateway.access_tokens import AccessTokens
from datacanal.gateway.sign_in.provider import Attempt, Provider
from datacanal.ledger.accounts import Person
from datacanal.sign_in_section import SignInSection

ATTEMPT_S = 600
CODE_S = 60
TENANT = "default"
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5}/[A-Za-z0-9/_.-]{0,200}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_WORD = re.compile(r"[a-z_]{1,50}")
_NAMES = ("preferred_username", "email", "name", "sub")
_MOST_GROUPS = 64
_MOST_TEXT = 128


@dataclass(frozen=True, slots=True)
class Return:
    """Where a program of this machine waits for a code, and the challenge (PKCE) that the code is bound to."""

    address: str
    challenge: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who signed in, the groups that they are of, and where they go from here."""

    person: Person
    groups: tuple[str, ...]
    back: Return | None


def checked_return(address: str | None, challenge: str | None) -> Return | None:
    """Where to return to. Raises `BadField` for what is not a program of the caller's own machine."""
    if address is None and challenge is None:
        return None
    if address is None or not _LOOPBACK.fullmatch(address):
        raise BadField(field="return_to", reason="an address such as http://127.0.0.1:54321/ is needed")
    if challenge is None or not _CHALLENGE.fullmatch(challenge):
        raise BadField(field="challenge", reason="the base64url of a verifier's SHA-256 is needed (PKCE, S256)")
    return Return(address, challenge)


class SignIn:
    """The flow with one provider. What it has to remember it signs and gives away."""

    def __init__(
        self, section: SignInSection, provider: Provider, tokens: AccessTokens, now: Callable[[], datetime]
    ) -> None:
        self.section = section
        self._provider = provider
        self._tokens = tokens
        self._now = now

    async def begin(self, back: Return | None) -> tuple[str, str]:
        """Where the person goes, and what their browser keeps (a cookie's value)."""
        attempt = Attempt(*(secrets.token_urlsafe(32) for _ in Attempt._fields))
        claims = {**attempt._asdict(), "back": [back.address, back.challenge] if back else None}
        kept = self._tokens.sign("sign-in", claims, self._now() + timedelta(seconds=ATTEMPT_S))
        return await self._provider.sign_in_address(attempt), kept

    async def finish(self, kept: str | None, said: Mapping[str, str]) -> Arrival:
        """Who came back from the provider with these parameters. Raises `SignInRefused`, `SignInUnavailable`."""
        attempt, back = self._attempt(kept)
        if not hmac.compare_digest(said.get("state", "").encode(), attempt.state.encode()):
            raise SignInRefused(reason="it was not begun in this browser")
        if said.get("iss", self.section.issuer) != self.section.issuer:
            raise SignInRefused(reason="another identity provider answered")
        if "code" not in said:
            word = said.get("error", "")
            raise SignInRefused(reason=f"the identity provider says {word if _WORD.fullmatch(word) else 'no'}")
        claims = await self._provider.claims(said["code"], attempt)
        return Arrival(_person(self.section, claims), self._groups(claims), back)

    def _attempt(self, kept: str | None) -> tuple[Attempt, Return | None]:
        try:
            claims = self._tokens.claims("sign-in", kept or "", self._now())
        except Unauthenticated:
            raise SignInRefused(reason="it was not begun in this browser, or more than 10 minutes ago") from None
        back = Return(*claims["back"]) if claims["back"] else None
        return Attempt(*(claims[name] for name in Attempt._fields)), back

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        given = claims.get(self.section.groups_claim, [])
        groups = [given] if isinstance(given, str) else given
        if not isinstance(groups, list) or not all(isinstance(each, str) for each in groups):
            raise SignInRefused(reason=f"the claim {self.section.groups_claim} is not a list of texts")
        if len(groups) > _MOST_GROUPS or any(len(each) > _MOST_TEXT for each in groups):
            raise SignInRefused(reason=f"there are more than {_MOST_GROUPS} groups, or one with a very long name")
        allowed = self.section.allowed_groups
        if allowed is not None and set(allowed).isdisjoint(groups):
            raise SignInRefused(reason="none of the person's groups may use this service")
        return tuple(groups)


class Codes:
    """One-time codes, bound to a challenge. Each gateway takes each code once."""

    def __init__(self, tokens: AccessTokens, now: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._now = now
        self._used: dict[str, datetime] = {}

    def make(self, account: str, groups: tuple[str, ...], challenge: str) -> str:
        """A code for the account, good for a minute."""
        claims = {"sub": account, "groups": list(groups), "challenge": challenge, "jti": secrets.token_urlsafe(16)}
        return self._tokens.sign("sign-in-code", claims, self._now() + timedelta(seconds=CODE_S))

    def take(self, code: str, verifier: str) -> tuple[str, tuple[str, ...]]:
        """The account and the groups. Raises `SignInRefused`."""
        now = self._now()
        try:
            claims = self._tokens.claims("sign-in-code", code, now)
        except Unauthenticated:
            raise SignInRefused(reason="the code is wrong, or more than a minute old") from None
        if not hmac.compare_digest(create_s256_code_challenge(verifier), claims["challenge"]):
            raise SignInRefused(reason="the verifier does not belong to the code")
        self._used = {each: until for each, until in self._used.items() if until > now}
        if claims["jti"] in self._used:
            raise SignInRefused(reason="the code was used")
        self._used[claims["jti"]] = now + timedelta(seconds=2 * CODE_S)
        return claims["sub"], tuple(claims["groups"])


def _person(section: SignInSection, claims: Mapping[str, Any]) -> Person:
    subject = claims["sub"]
    if not isinstance(subject, str) or not (subject.isascii() and subject.isprintable() and 0 < len(subject) <= 255):
        raise SignInRefused(reason="the identity provider does not say who it is")
    names = (claims.get(name) for name in _NAMES)
    name = next(each for each in names if isinstance(each, str) and each.strip() and each.isprintable())
    return Person(TENANT, section.issuer, subject, name.strip()[:_MOST_TEXT])
