"""The identity provider: what it says of itself, and who it says that somebody is.

OpenID Connect Core 1.0 with discovery; the id token is believed for its signature, never for how it came.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ValidationError

from datacanal.domain.metering_errors import SignInRefused, SignInUnavailable
from datacanal.sign_in_section import SignInSection, is_guarded

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
_LEEWAY_S = 60
_TIMEOUT_S = 10.0
_MOST_BYTES = 2**20
_KNOWN_FOR_S = 600
_DISCOVERY = "/.well-known/openid-configuration"


class Attempt(NamedTuple):
    """What belongs to one attempt to sign in, and is asked again at its end."""

    state: str
    nonce: str
    verifier: str


class _Metadata(BaseModel):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]


class Provider:
    """Asks the provider of the section; `secret` is the client's, None for a public one."""

    def __init__(self, section: SignInSection, secret: str | None, now: Callable[[], datetime]) -> None:
        self._section = section
        self._secret = secret
        self._now = now
        self._known: tuple[float, _Metadata] | None = None

    async def sign_in_address(self, attempt: Attempt) -> str:
        """Where the person signs in. Raises `SignInUnavailable`."""
        metadata = await self._metadata()
        section = self._section
        address: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            section.client_id,
            "code",
            section.callback,
            " ".join(section.scopes),
            attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return address

    async def claims(self, code: str, attempt: Attempt) -> dict[str, Any]:
        """What the id token says that the code is exchanged for. Raises `SignInRefused`, `SignInUnavailable`."""
        metadata = await self._metadata()
        token = await self._exchanged(metadata, code, attempt)
        keys = await self._fetched("GET", metadata.jwks_uri)
        return self._believed(token, keys, attempt)

    def _believed(self, token: str, keys: Any, attempt: Attempt) -> dict[str, Any]:
        section = self._section
        rules = jwt.JWTClaimsRegistry(
            now=int(self._now().timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": section.issuer},
            aud={"essential": True, "value": section.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": attempt.nonce},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SignInRefused(reason=f"the identity provider's token does not hold ({_named(error)})") from None
        audience = claims["aud"]
        is_for_others = isinstance(audience, list) and len(audience) > 1
        if (is_for_others or "azp" in claims) and claims.get("azp") != section.client_id:
            raise SignInRefused(reason="the identity provider's token is for another client")
        return dict(claims)

    async def _exchanged(self, metadata: _Metadata, code: str, attempt: Attempt) -> str:
        section = self._section
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": section.callback,
            "client_id": section.client_id,
            "code_verifier": attempt.verifier,
        }
        proof = None
        if self._secret is not None and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            proof = httpx.BasicAuth(quote(section.client_id, safe=""), quote(self._secret, safe=""))
        elif self._secret is not None:
            form["client_secret"] = self._secret
        said = await self._fetched("POST", metadata.token_endpoint, data=form, auth=proof)
        token = said.get("id_token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise SignInRefused(reason="the identity provider gave no id token")
        return token

    async def _metadata(self) -> _Metadata:
        now_s = self._now().timestamp()
        if self._known is None or not 0 <= now_s - self._known[0] < _KNOWN_FOR_S:
            said = await self._fetched("GET", self._section.issuer.rstrip("/") + _DISCOVERY)
            self._known = now_s, self._checked(said)
        return self._known[1]

    def _checked(self, said: Any) -> _Metadata:
        try:
            metadata = _Metadata.model_validate(said)
        except ValidationError:
            raise SignInUnavailable(reason="what it says of itself lacks an address") from None
        if metadata.issuer != self._section.issuer:
            raise SignInUnavailable(reason="it says that it is another issuer than gateway.sign_in.issuer")
        if not all(map(is_guarded, (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri))):
            raise SignInUnavailable(reason="it has an address that is not https")
        return metadata

    async def _fetched(self, method: str, address: str, **more: Any) -> Any:
        """The JSON there. A refusal is the person's; everything else is the provider's failure."""
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client,
                client.stream(method, address, headers={"Accept": "application/json"}, **more) as response,
            ):
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise SignInUnavailable(reason="it answers with more than 1 MiB")
        except httpx.HTTPError as error:
            raise SignInUnavailable(reason=type(error).__name__) from None
        if response.status_code in (400, 401, 403) and method == "POST":
            raise SignInRefused(reason="the identity provider does not accept the code, or this gateway")
        try:
            response.raise_for_status()
            return httpx.Response(200, content=body).json()
        except (httpx.HTTPError, ValueError):
            raise SignInUnavailable(reason=f"it answers with {response.status_code}, or not with JSON") from None


def _named(error: Exception) -> str:
    """What is wrong with a token, without a value of it."""
    claim = getattr(error, "claim", None)
    return (
        f"{type(error).__name__}: {claim}"
        if claim in ("iss", "aud", "sub", "exp", "iat", "nonce")
        else type(error).__name__
    )
