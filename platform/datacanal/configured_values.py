"""Sizes, names and addresses as the configuration file has them."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?\s*$")
_UNITS = {
    None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_NAME = re.compile(r"^[^\W\d]\w{0,62}$")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
EVERYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104  # compared, not bound


def parse_size(value: object) -> int:
    """Bytes of `"2GiB"`, `"500MB"` or a plain number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a size such as "2GiB" is needed')
    return int(float(match[1]) * _UNITS[match[2]])


def _check_name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("a name begins with a letter and holds letters, digits and _ (at most 63)")
    return value


def _check_listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError('an address such as "127.0.0.1:8400" is needed')
    return value


def check_control_url(value: str) -> str:
    """Where a control plane is: https, or http on this machine."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('a URL such as "https://control.bank.example:8400" is needed')
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("plain http is accepted on loopback only; use https")
    return value.rstrip("/")


def check_exchange_url(value: str) -> str:
    """Where other sites call one: https."""
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError('a URL such as "https://core.bank.example:8410" is needed')
    return value.rstrip("/")


def host_of(listen: str) -> str:
    """The host of `host:port`."""
    return listen.rpartition(":")[0]


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
SiteName = Annotated[str, AfterValidator(_check_name)]
LakeName = Annotated[str, AfterValidator(_check_name)]
Listen = Annotated[str, AfterValidator(_check_listen)]
