"""What `[control] database` may say: the embedded database, or the address of a PostgreSQL without any secret in it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator

_EMBEDDED = "sqlite"
_SCHEME = "postgresql+psycopg"
_SETTINGS = frozenset(
    {"host", "port", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "connect_timeout",
     "application_name", "channel_binding", "require_auth", "target_session_attrs", "krbsrvname", "gssencmode"}
)  # fmt: skip
_EXAMPLE = '"sqlite" or "postgresql+psycopg://user@host/name?sslmode=verify-full" is needed'


def _check_database(value: str) -> str:
    """Never quotes the value: somebody may have written a password into it."""
    if value == _EMBEDDED:
        return value
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
        settings = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError(_EXAMPLE) from None
    if parts.scheme != _SCHEME or not parts.username or not parts.path.strip("/") or parts.fragment:
        raise ValueError(_EXAMPLE)
    if parts.password is not None or "password" in settings:
        raise ValueError("no password stands here: PGPASSFILE, ~/.pgpass or ?passfile=… names a file with it")
    if unknown := sorted(settings.keys() - _SETTINGS):
        raise ValueError(f"the setting {unknown[0]!r} is not known; these are: {', '.join(sorted(_SETTINGS))}")
    _check_secured(host or settings.get("host", ""), settings)
    return value


def _check_secured(host: str, settings: dict[str, str]) -> None:
    """Plain text is spoken to a server of this machine only."""
    if not host:
        raise ValueError("a host is needed; that of a Unix socket is its folder: ?host=/run/postgresql")
    if not host.startswith("/") and not _is_here(host) and settings.get("sslmode") != "verify-full":
        raise ValueError("a server on another machine is spoken to by TLS only: add ?sslmode=verify-full")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


DatabaseAddress = Annotated[str, AfterValidator(_check_database)]
