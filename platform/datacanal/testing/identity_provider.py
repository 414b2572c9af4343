"""A small identity provider that conforms to OpenID Connect, and ones that fail in one way each.

Discovery, authorization code with PKCE (S256), HTTP Basic for the client, id tokens signed with ES256. Whoever comes
to its sign-in page is signed in as `person` at once.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "the-gateway", "canary:client secret"  # of a provider that only tests have
_LIVES = timedelta(minutes=5)


class IdentityProvider:
    """Conforms. `issuer` is its address; `app` is to be served there."""

    def __init__(self, issuer: str, person: Mapping[str, Any]) -> None:
        self.issuer = issuer
        self.person = person
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self._codes: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
            ]
        )

    def claims(self, nonce: str) -> dict[str, Any]:
        """What the id token says."""
        now = datetime.now(UTC)
        times = {"iat": int(now.timestamp()), "exp": int((now + _LIVES).timestamp())}
        return {"iss": self.issuer, "aud": CLIENT, "nonce": nonce, **times, **self.person}

    def signed(self, claims: dict[str, Any]) -> str:
        """The id token."""
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    def metadata(self) -> dict[str, Any]:
        """What it says of itself."""
        addresses = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in addresses.items()}}

    async def _metadata(self, _request: Request) -> Response:
        return JSONResponse(self.metadata())

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) != (CLIENT, "code", "S256"):
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.issuer, "session_state": "x"})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self._codes.pop(form["code"], None)
        proof = base64.b64encode(b"the-gateway:canary%3Aclient%20secret").decode()
        if request.headers.get("authorization") != f"Basic {proof}":
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = create_s256_code_challenge(form["code_verifier"])
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (form["redirect_uri"], challenge):
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = self.signed(self.claims(asked["nonce"]))
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})


class ProviderOfAnotherNonce(IdentityProvider):
    def claims(self, nonce: str) -> dict[str, Any]:
        return super().claims(nonce + "x")


class ProviderForAnotherClient(IdentityProvider):
    def claims(self, nonce: str) -> dict[str, Any]:
        return {**super().claims(nonce), "aud": "another"}


class ProviderForSeveralClients(IdentityProvider):
    """The gateway is among the audience, but the token was issued to another."""

    def claims(self, nonce: str) -> dict[str, Any]:
        return {**super().claims(nonce), "aud": [CLIENT, "another"], "azp": "another"}


class ProviderWhoseTokensAreOld(IdentityProvider):
    def claims(self, nonce: str) -> dict[str, Any]:
        claims = super().claims(nonce)
        return {**claims, "exp": claims["iat"] - 3600}


class ProviderWithAnotherIssuersTokens(IdentityProvider):
    def claims(self, nonce: str) -> dict[str, Any]:
        return {**super().claims(nonce), "iss": "https://accounts.example"}


class ProviderOfNobody(IdentityProvider):
    def claims(self, nonce: str) -> dict[str, Any]:
        return {**super().claims(nonce), "sub": ""}


class ProviderWithAnotherKey(IdentityProvider):
    """Signs with a key that it does not publish, under the name of the one that it does."""

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, ECKey.generate_key("P-256"))


class ProviderThatDoesNotSign(IdentityProvider):
    """`alg` none."""

    def signed(self, claims: dict[str, Any]) -> str:
        parts = (json.dumps(part).encode() for part in ({"alg": "none", "kid": self.key.kid}, claims))
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


class ProviderThatSaysItIsAnother(IdentityProvider):
    """Its discovery document names another issuer."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "issuer": "https://accounts.example"}


class ProviderWithOpenAddresses(IdentityProvider):
    """It would have the code sent where others can listen."""

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "token_endpoint": "http://accounts.example/token"}


class ProviderThatRefuses(IdentityProvider):
    """Nobody signs in."""

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        back = urlencode({"error": "access_denied", "state": asked["state"], "error_description": "canary words"})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)
