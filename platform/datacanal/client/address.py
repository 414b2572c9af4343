"""Where the service is and what proves the caller: arguments, then the environment, then the files of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datacanal.domain.errors import Unauthenticated

DEFAULT_URL = "http://127.0.0.1:8400"
DEFAULT_GATEWAY = "http://127.0.0.1:8401"


def resolve_url(url: str | None, environment: Mapping[str, str]) -> str:
    """The service's base URL without a slash at its end."""
    return (url or environment.get("DATACANAL_URL") or DEFAULT_URL).rstrip("/")


def resolve_gateway(url: str | None, environment: Mapping[str, str]) -> str:
    """The base URL of the gateway that data products are called at."""
    return (url or environment.get("DATACANAL_GATEWAY") or DEFAULT_GATEWAY).rstrip("/")


def resolve_token(token: str | None, environment: Mapping[str, str], directory: Path) -> str | None:
    """The caller's token, if there is one. Raises `Unauthenticated` for what cannot be a token."""
    found = token or environment.get("DATACANAL_TOKEN")
    if found:
        return _checked(found.strip())
    for file in token_files(environment, directory):
        try:
            return _checked(file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return None


def resolve_ca(ca: str | None, environment: Mapping[str, str], directory: Path) -> Path | None:
    """Who vouches for the service: the file that was named, else what a service of this machine made for itself."""
    named = ca or environment.get("DATACANAL_CA")
    if named:
        return Path(named)
    made = (file.with_name("control.pem") for file in token_files(environment, directory))
    return next((file for file in made if file.is_file()), None)


def no_token(environment: Mapping[str, str], directory: Path) -> Unauthenticated:
    """What to say when a service wants a token and none was found: the places where one was looked for."""
    tried = ", ".join(str(file) for file in token_files(environment, directory))
    return Unauthenticated(reason=f"DATACANAL_TOKEN is not set and none of these files can be read: {tried}")


def token_files(environment: Mapping[str, str], directory: Path) -> list[Path]:
    """Where an administrator's token may lie: the state that is named, then the one in the current directory."""
    homes = [Path(environment["DATACANAL_HOME"])] if environment.get("DATACANAL_HOME") else []
    return [home / "admin.token" for home in (*homes, directory / "state")]


def _checked(token: str) -> str:
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Unauthenticated(reason="what was given holds characters that no token has")
    return token
