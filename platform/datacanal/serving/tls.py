"""TLS contexts: for servers that anybody may call, for servers that know their clients, for clients that know theirs.

Where both sides are ours, only pinned certificates count: no authorities, no host names, no session tickets (a resumed
session would skip the look at the certificate), TLS 1.3.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datacanal.homes import write_secret

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True)
class KeyPair:
    """The files of a certificate (or a chain) and of its private key."""

    certificate: Path
    key: Path


def ensure_key_pair(pair: KeyPair, certificate: str, key: PrivateKey) -> KeyPair:
    """Make sure that the files hold just these."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, content in ((pair.key, private), (pair.certificate, certificate.encode("ascii"))):
        if not file.is_file() or file.read_bytes() != content:
            write_secret(file, content)
    return pair


def open_server(own: KeyPair) -> ssl.SSLContext:
    """For a server that proves itself; its clients do so by other means. Raises `OSError`, which `ssl.SSLError` is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(own.certificate, own.key)
    return context


def mutual_server(own: KeyPair, known: Callable[[], Iterable[str]]) -> ssl.SSLContext:
    """For a server whose clients must hold one of the certificates (PEM) that `known` gives at that moment.

    `known` gives the same object for as long as nothing changed.
    """
    newest = _Newest(own, known)
    context = newest.context()

    def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = newest.context()

    # TLS calls this after the client's first words, whether they name a server or not.
    context.sni_callback = renew
    return context


def pinned_client(server: str, own: KeyPair | None = None) -> ssl.SSLContext:
    """For a client that talks to the holder of this certificate (PEM) and to nobody else, under whatever address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=server)
    # A chain of an authority may be pinned by its last certificate alone.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if own is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(own.certificate, own.key)
    return context


class _Newest:
    """The context for the certificates that are known now, made anew when they change."""

    def __init__(self, own: KeyPair, known: Callable[[], Iterable[str]]) -> None:
        self._own = own
        self._known = known
        self._made_for: Iterable[str] = known()
        self._context = _mutual(own, self._made_for)

    def context(self) -> ssl.SSLContext:
        known = self._known()
        if known is not self._made_for:
            self._context = _mutual(self._own, known)
            self._made_for = known
        return self._context


def _mutual(own: KeyPair, clients: Iterable[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    for certificate in clients:
        context.load_verify_locations(cadata=certificate)
    return context
