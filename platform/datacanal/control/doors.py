"""The two doors of a control plane: the public one for everybody with a token, the one for sites, which show keys.

One key proves both. Sites pin the certificate of their door when they join, so it is made once; the certificate of the
public door names the machine and is made again when that is called otherwise.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from datacanal.certificates import fingerprint_in
from datacanal.configuration import ControlSection
from datacanal.configured_values import EVERYWHERE, host_of
from datacanal.domain.errors import BadConfiguration, PortInUse
from datacanal.homes import write_secret
from datacanal.serving.doors import own_pair
from datacanal.serving.runner import bind
from datacanal.serving.tls import KeyPair


@dataclass(frozen=True)
class SiteDoor:
    """`fingerprint` stands in the tokens that sites join with; `certificate` (PEM) is what they pin then."""

    pair: KeyPair
    certificate: str
    fingerprint: str


def load_site_door(home: Path) -> SiteDoor:
    """The door's key and certificate, made on first use. The caller holds the home's lock."""
    pair, certificate = own_pair(home, "door.pem", [])
    return SiteDoor(pair, certificate, fingerprint_in(certificate.encode()))


def bind_site_door(control: ControlSection, home: Path) -> socket.socket:
    """Listen for sites: where the configuration says, else where it was the last time, else anywhere on that host."""
    if control.sites is not None and not control.sites.endswith(":0"):
        return bind(control.sites, key="control.sites")
    host = host_of(control.sites or control.listen)
    kept = home / "door.port"
    try:
        listening = bind(f"{host}:{int(kept.read_text('ascii'))}", key="control.sites")
    except (OSError, ValueError, OverflowError, PortInUse, BadConfiguration):
        listening = bind(f"{host}:0", key="control.sites")
    write_secret(kept, str(listening.getsockname()[1]).encode("ascii"))
    return listening


def door_url(listening: socket.socket, asked_at: str) -> str:
    """Where a caller that reached the public door at this host (as it wrote it) finds the sites' door."""
    host, port = listening.getsockname()[:2]
    if host in EVERYWHERE:
        host = urlsplit(f"//{asked_at}").hostname or "127.0.0.1"
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
