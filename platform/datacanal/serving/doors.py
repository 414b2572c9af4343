"""The doors that everybody with a token may call: how they are secured, and the certificates made for them here.

A certificate names the machine, and is made again when that is called otherwise.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from datacanal.certificates import server_certificate
from datacanal.configured_values import EVERYWHERE, host_of
from datacanal.domain.errors import BadConfiguration
from datacanal.homes import write_secret
from datacanal.serving.tls import KeyPair, ensure_key_pair, open_server


class Door(Protocol):
    """The part of the configuration that says where to listen."""

    @property
    def listen(self) -> str: ...

    @property
    def certificate(self) -> Path | None: ...

    @property
    def key(self) -> Path | None: ...

    @property
    def is_secured(self) -> bool: ...


def public_tls(door: Door, home: Path, section: str) -> ssl.SSLContext | None:
    """How the section's door is secured, by `<section>.pem` where no certificate is given; None on loopback.

    Raises `BadConfiguration` for files that are not usable.
    """
    if not door.is_secured:
        return None
    own = f"{section}.pem"
    if door.certificate is not None and door.key is not None:
        (home / own).unlink(missing_ok=True)  # clients of this machine would go on trusting it
        try:
            return open_server(KeyPair(door.certificate, door.key))
        except OSError as error:
            reason = f"not a usable pair of PEM files: {error.strerror or error}"
            raise BadConfiguration(file=str(door.certificate), key=f"{section}.certificate", reason=reason) from None
    return open_server(own_pair(home, own, _names(host_of(door.listen)))[0])


def own_pair(home: Path, name: str, names: list[str]) -> tuple[KeyPair, str]:
    """The files of the home's certificate of that name, and it. One that says what a new one would is kept as it is."""
    pair = KeyPair(home / name, home / "control.key")
    with _alone(home):
        key = _load_key(pair.key)
        made = server_certificate(key, names)
        kept = pair.certificate.read_text("ascii") if pair.certificate.is_file() else ""
        certificate = kept if kept and _said(kept) == _said(made) else made
        return ensure_key_pair(pair, certificate, key), certificate


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Control plane and gateways of one home may start at the same time."""
    with (home / "control.key.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
