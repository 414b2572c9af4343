"""Addresses that notices may be sent to: https, a public host, nothing hidden in how it is written."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from datacanal.domain.metering_errors import WebhookRefused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_CHARACTERS = 2000
_PORT = 443
_LAST_PORT = 65535
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[^:]*)?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST = 253
_OWN_NAMES = frozenset(("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "arpa"))
"""Last labels of names that only mean something inside a machine or a network."""
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NEVER_V4 = tuple(map(ipaddress.IPv4Network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24")))
_NEVER_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Tunnels (Teredo, 6to4), which lead to any IPv4 address, and what is for protocols and documentation."""


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """A checked address. `host` is a name in lower case, or an address without brackets; `target` begins with /."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host field says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORT else f"{host}:{self.port}"


def webhook_address(text: str) -> WebhookAddress:
    """The parts of an address that may be used. Raises `WebhookRefused` with the reason."""
    if len(text) > MAX_CHARACTERS:
        raise WebhookRefused(reason=f"it has {len(text)} characters, and at most {MAX_CHARACTERS:,} are allowed")
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        raise WebhookRefused(reason="it holds a space, a backslash or a character outside ASCII")
    parts = _split(text)
    if parts.scheme != "https":
        raise WebhookRefused(reason="it is not https")
    if "@" in parts.netloc:
        raise WebhookRefused(reason="it has a user name or a password in it")
    if "#" in text:
        raise WebhookRefused(reason="it has a fragment (#), which is never sent")
    host, port = _host_and_port(parts.netloc)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookAddress(_checked_host(host.lower()), port, target)


def is_public(address: IpAddress) -> bool:
    """Whether the address is one of the public internet, and reaches nothing else through a tunnel or a mapping."""
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NEVER_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _NEVER_V6)


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise WebhookRefused(reason="its host is not well formed") from None


def _host_and_port(authority: str) -> tuple[str, int]:
    if "%" in authority:
        raise WebhookRefused(reason="its host is percent-encoded or names a zone")
    if ("[" in authority or "]" in authority) and not _BRACKETED.fullmatch(authority):
        raise WebhookRefused(reason="its host is not well formed")
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, port = authority, str(_PORT)
    if not port.isdigit() or len(port) > len(str(_LAST_PORT)) or not 1 <= int(port) <= _LAST_PORT:
        raise WebhookRefused(reason=f"its port is not a number from 1 to {_LAST_PORT}")
    return host, int(port)


def _checked_host(host: str) -> str:
    if not host:
        raise WebhookRefused(reason="it names no host")
    if host.startswith("["):
        return _checked_literal(host[1:-1])
    if host.endswith("."):
        raise WebhookRefused(reason="its host ends in a dot")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _checked_literal(host)
    if len(host) > _MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise WebhookRefused(reason=f"its host is no host name: labels of a-z, 0-9 and -, at most {_MAX_HOST} in all")
    if len(labels) == 1 or labels[-1] in _OWN_NAMES:
        raise WebhookRefused(reason=f"its host {host} is no public name")
    return host


def _checked_literal(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        reason = "its host is a number that is not written as an address (four decimal numbers, or IPv6 in brackets)"
        raise WebhookRefused(reason=reason) from None
    if not is_public(address):
        raise WebhookRefused(reason=f"its host {address} is not a public address")
    return str(address)
