"""The section of the configuration file about people who sign in: by which identity provider, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from datacanal.configured_values import LOOPBACK


def is_guarded(url: str) -> bool:
    """Whether nobody can listen on the way: https, or http that stays on this machine."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        )
    except ValueError:
        return False


def _check_issuer(value: str) -> str:
    if not is_guarded(value) or urlsplit(value).query or urlsplit(value).fragment:
        raise ValueError('an https URL such as "https://accounts.bank.example" is needed')
    return value


def _check_redirect(value: str) -> str:
    if not is_guarded(value) or urlsplit(value).path.strip("/") or urlsplit(value).query:
        raise ValueError('the public https URL of the gateway is needed, such as "https://data.bank.example"')
    return value.rstrip("/")


def _check_scopes(value: list[str]) -> list[str]:
    if "openid" not in value:
        raise ValueError('"openid" must be among them')
    return value


class SignInSection(BaseModel):
    """OpenID Connect. `client_secret` is a file; `redirect` is where people reach the gateway.

    The provider is to allow the address `<redirect>/v1/sign-in/callback`. With `allowed_groups` only their members are
    let in; the groups that the claim names become those of the person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, AfterValidator(_check_issuer)]
    client_id: str = Field(min_length=1, max_length=500)
    client_secret: Path | None = None
    redirect: Annotated[str, AfterValidator(_check_redirect)]
    scopes: Annotated[list[str], AfterValidator(_check_scopes)] = Field(default=["openid", "profile", "email"])
    groups_claim: str = Field(default="groups", min_length=1, max_length=100)
    allowed_groups: list[str] | None = None

    @property
    def callback(self) -> str:
        """Where the provider sends people back to."""
        return f"{self.redirect}/v1/sign-in/callback"

    @property
    def is_secured(self) -> bool:
        """Whether people reach the gateway by https."""
        return self.redirect.startswith("https://")
