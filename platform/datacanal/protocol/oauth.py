"""OAuth 2.0 client credentials (RFC 6749): an access token for an API key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from datacanal.protocol.base import Document


class TokenGrant(Document):
    """What is posted, form-encoded; the client may also prove itself by HTTP Basic."""

    grant_type: Literal["client_credentials"]
    client_id: str | None = Field(default=None, max_length=64, description="the key's id")
    client_secret: str | None = Field(default=None, max_length=200, description="the whole key, dck_…")
    scope: str | None = Field(default=None, max_length=200, description="separated by spaces; absent: all of the key's")


class TokenAnswer(Document):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the standard's word
    expires_in: int = Field(description="seconds")
    scope: str


class TokenRefusal(Document):
    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]
    error_description: str
