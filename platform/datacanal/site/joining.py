"""Joining a control plane, once: the token proves the site, and carries what proves the control plane to the site."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog

from datacanal.certificates import fingerprint_in
from datacanal.domain.errors import DatacanalError, JoinRefused, Unauthenticated
from datacanal.homes import SITE_TOKEN
from datacanal.protocol.site import Door, Join, Joined
from datacanal.serving.tls import pinned_client
from datacanal.site.answers import checked, read_answer, unreachable
from datacanal.site.identity import Membership, SiteIdentity, load_membership, save_membership
from datacanal.site.session import patiently

_TIMEOUT = httpx.Timeout(10, connect=3)
_TOKEN_WAIT_S = 30.0
_TOKEN_LOOK_S = 0.05
_ANOTHER_LOOK_S = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class PublicDoor:
    """The control plane's public door, spoken to twice: to join, and to find the other door again.

    `ca` is who vouches for its certificate, where neither the machine nor the token does.
    """

    url: str
    ca: Path | None = None

    async def join(self, identity: SiteIdentity, secret: str) -> Membership:
        """Raises `JoinRefused`, or `ServiceUnreachable` and `ServiceBusy` where another try may help."""
        vouched = _fingerprint_in_token(secret)
        anchor = await asyncio.to_thread(self._vouched_certificate, vouched) if vouched else ""
        body = Join(site=identity.site, certificate=identity.certificate.pem).model_dump_json()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        joined = read_answer(Joined, await self._ask("POST", "join", anchor, body, headers))
        if vouched and fingerprint_in(joined.certificate.encode()) != vouched:
            raise JoinRefused(site=identity.site, reason="it has another key than the one that the token names")
        return Membership(**joined.model_dump(), anchor=anchor, token=_token_id(secret))

    async def find_door(self, anchor: str) -> str:
        """Where the site door is now. Raises `ServiceUnreachable` or `ServiceBusy`."""
        return read_answer(Door, await self._ask("GET", "door", anchor)).door

    async def _ask(
        self, method: str, path: str, anchor: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        url = f"{self.url}/v1/site/{path}"
        async with httpx.AsyncClient(verify=self._context(anchor), timeout=_TIMEOUT, trust_env=False) as client:
            try:
                return checked(await client.request(method, url, content=body, headers=headers))
            except httpx.TransportError as error:
                raise unreachable(url, error) from None

    def _context(self, anchor: str) -> ssl.SSLContext:
        if self.url.startswith("http://"):  # on loopback; the machine's authorities need not be read for it
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return pinned_client(anchor) if anchor else ssl.create_default_context(cafile=self.ca)

    def _vouched_certificate(self, fingerprint: str) -> str:
        """The certificate shown here, if it is of the key that the token names; one of another key needs a `ca`."""
        parts = urlsplit(self.url)
        if parts.scheme != "https":
            return ""
        with suppress(OSError, ValueError):  # an address where nobody answers is told by what comes next
            shown = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=3)
            return shown if fingerprint_in(shown.encode()) == fingerprint else ""
        return ""


class Tokens:
    """Where a one-time token may lie: the site's own file, where the control plane may put one, or the environment."""

    def __init__(self, home: Path, environment: str) -> None:
        self._file = home / SITE_TOKEN
        self._environment = environment.strip()

    def find(self, used: str = "") -> str:
        """A token to join with; that of the environment does not count once it was used."""
        if found := self._in_home():
            return found
        return "" if self._environment and _token_id(self._environment) == used else self._environment

    def _in_home(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return self._file.read_text(encoding="ascii").strip()
        return ""

    async def another(self) -> None:
        """Until another token lies in the home than now."""
        refused = self._in_home()
        while True:
            await asyncio.sleep(_ANOTHER_LOOK_S)
            if self._in_home() not in ("", refused):
                return

    def used(self) -> None:
        self._file.unlink(missing_ok=True)

    def missing(self) -> Unauthenticated:
        """What to say where there is none."""
        return Unauthenticated(reason=f"this site has not joined, and no token is in {self._file} or DATACANAL_TOKEN")


async def ensure_joined(home: Path, identity: SiteIdentity, door: PublicDoor, tokens: Tokens) -> Membership:
    """The membership of this home: the one it has, or by joining with the token that is found within 30 s.

    A token that lies there makes a member join anew. Raises `Unauthenticated` where there is none, or the refusal.
    """
    member = load_membership(home)
    until_s = time.monotonic() + _TOKEN_WAIT_S
    refusal: DatacanalError = tokens.missing()
    tried: set[str] = set()
    while True:
        secret = tokens.find(member.token if member else "")
        if secret and secret not in tried:
            tried.add(secret)
            try:
                return await _join(home, identity, door, tokens, secret)
            except DatacanalError as error:  # a member stays what it is; others wait for another token
                _log.warning("join_refused", site=identity.site, code=error.code, reason=error.detail)
                refusal = error
        if member is not None:
            return member
        if time.monotonic() > until_s:
            raise refusal
        await asyncio.sleep(_TOKEN_LOOK_S)


async def _join(home: Path, identity: SiteIdentity, door: PublicDoor, tokens: Tokens, secret: str) -> Membership:
    membership = await patiently("join", lambda: door.join(identity, secret))
    await asyncio.to_thread(save_membership, home, membership)
    tokens.used()
    _log.info("joined", site=identity.site, door=membership.door, token=membership.token)
    return membership


def _token_id(secret: str) -> str:
    return f"tok_{secret.split('_')[1]}" if secret.count("_") in (2, 3) else ""


def _fingerprint_in_token(secret: str) -> str:
    parts = secret.split("_")
    return parts[3] if len(parts) == 4 else ""
