"""The two doors of a control plane: the public one for everybody with a token, the one for sites, which show keys.

One key proves both. Sites pin the certificate of their door when they join, so it is made once; the certificate of the
public door names the machine and is made again when that is called otherwise.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from datacanal.certificates import fingerprint_in, server_certificate
from datacanal.configuration import EVERYWHERE, ControlSection, host_of
from datacanal.domain.errors import BadConfiguration, PortInUse
from datacanal.homes import PUBLIC_CERTIFICATE, write_secret
from datacanal.serving.runner import bind
from datacanal.serving.tls import KeyPair, ensure_key_pair, open_server


@dataclass(frozen=True)
class SiteDoor:
    """`fingerprint` stands in the tokens that sites join with; `certificate` (PEM) is what they pin then."""

    pair: KeyPair
    certificate: str
    fingerprint: str


def load_site_door(home: Path) -> SiteDoor:
    """The door's key and certificate, made on first use. The caller holds the home's lock."""
    pair, certificate = _own_pair(home, "door.pem", [])
    return SiteDoor(pair, certificate, fingerprint_in(certificate.encode()))


def public_tls(control: ControlSection, home: Path) -> ssl.SSLContext | None:
    """How the public door is secured; None on loopback. Raises `BadConfiguration` for files that are not usable."""
    if not control.is_secured:
        return None
    if control.certificate is not None and control.key is not None:
        (home / PUBLIC_CERTIFICATE).unlink(missing_ok=True)  # clients of this machine would go on trusting it
        try:
            return open_server(KeyPair(control.certificate, control.key))
        except OSError as error:
            reason = f"not a usable pair of PEM files: {error.strerror or error}"
            raise BadConfiguration(file=str(control.certificate), key="control.certificate", reason=reason) from None
    return open_server(_own_pair(home, PUBLIC_CERTIFICATE, _names(host_of(control.listen)))[0])


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


def _own_pair(home: Path, name: str, names: list[str]) -> tuple[KeyPair, str]:
    """The files of the certificate of that name, and it. A file that says what a new one would is kept as it is."""
    pair = KeyPair(home / name, home / "control.key")
    key = _load_key(pair.key)
    made = server_certificate(key, names)
    kept = pair.certificate.read_text("ascii") if pair.certificate.is_file() else ""
    certificate = kept if kept and _said(kept) == _said(made) else made
    return ensure_key_pair(pair, certificate, key), certificate


def _said(pem: str) -> bytes:
    """What a certificate says, without its signature, which is another one each time."""
    try:
        return x509.load_pem_x509_certificate(pem.encode()).tbs_certificate_bytes
    except ValueError:
        return b""


def _names(host: str) -> list[str]:
    """What clients may call this machine."""
    own = [] if host in EVERYWHERE else [host]
    known = dict.fromkeys([*own, socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1", "::1"])
    return [name for name in known if name and name.isascii()]


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey:
    if not file.is_file():
        made = ec.generate_private_key(ec.SECP256R1())
        write_secret(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadConfiguration(file=str(file), key="home", reason="this is not the key that was made here; restore it")
    return key
