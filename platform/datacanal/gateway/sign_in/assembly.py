"""The sign-in that the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from datacanal.domain.errors import BadConfiguration
from datacanal.gateway.access_tokens import AccessTokens
from datacanal.gateway.sign_in.flow import SignIn
from datacanal.gateway.sign_in.provider import Provider
from datacanal.sign_in_section import SignInSection


def sign_in_by(section: SignInSection, tokens: AccessTokens, now: Callable[[], datetime]) -> SignIn:
    """With the client's secret from its file. Raises `BadConfiguration`."""
    secret = None if section.client_secret is None else _secret_in(section.client_secret)
    return SignIn(section, Provider(section, secret, now), tokens, now)


def _secret_in(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"it cannot be read ({type(error).__name__})"
        raise BadConfiguration(file=str(file), key="gateway.sign_in.client_secret", reason=reason) from None
