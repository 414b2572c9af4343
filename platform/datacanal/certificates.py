"""Certificates that are pinned: self-signed, for good, and worth exactly what the key in them is worth.

Nobody vouches for them, so they have no authority, no hostname and no expiry that a wrong clock could meet. Whoever
holds one compares its fingerprint with what its owner says, once, and from then on trusts that key and no other.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What RFC 5280 writes for a certificate that does not expire."""
_SITE = "datacanal://site/"
_NAME = re.compile(r"^[^\W\d]\w{0,62}\Z")
"""As in the configuration; names of files are made of it."""
_LARGEST_PEM = 16 * 1024
_PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True)
class Certificate:
    """`fingerprint` is the sha256 (hex) of the public key, `key` the raw Ed25519 public key in base64."""

    pem: str
    site: str
    key: str
    fingerprint: str


def site_certificate(key: Ed25519PrivateKey, site: str) -> Certificate:
    """The certificate of a site: always the same for the same key and name."""
    name = x509.UniformResourceIdentifier(_SITE + quote(site, safe=""))
    builder = _builder(fingerprint_of(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))
    certificate = _extended(builder, key.public_key(), [name]).sign(key, None)
    return read_site_certificate(certificate.public_bytes(Encoding.PEM).decode())


def server_certificate(key: EllipticCurvePrivateKey, hosts: Sequence[str]) -> str:
    """A certificate (PEM) for a server that answers under these names and addresses, for clients that check them."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = [_host(host) for host in hosts]
    certificate = _extended(_builder(fingerprint_of(public)), key.public_key(), names).sign(key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM).decode()


def read_site_certificate(pem: str) -> Certificate:
    """The certificate of a site as it was sent or kept. Raises `ValueError` saying what is wrong with it."""
    certificate = _parsed(pem)
    public = certificate.public_key()
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError("its key is not Ed25519")
    try:
        public.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except InvalidSignature:
        raise ValueError("it is not signed by its own key") from None
    return Certificate(
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        site=_site_in(certificate),
        key=base64.b64encode(public.public_bytes_raw()).decode(),
        fingerprint=fingerprint_of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    )


def fingerprint_in(certificate: bytes) -> str:
    """The fingerprint of any certificate, in DER or PEM. Raises `ValueError` for what is none."""
    parsed = x509.load_pem_x509_certificate if certificate.startswith(b"-----") else x509.load_der_x509_certificate
    public = parsed(certificate).public_key()
    return fingerprint_of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def fingerprint_of(public_key: bytes) -> str:
    """sha256 (hex) of a public key in DER."""
    return hashlib.sha256(public_key).hexdigest()


def _parsed(pem: str) -> x509.Certificate:
    if len(pem) > _LARGEST_PEM:
        raise ValueError("it is too large for a certificate")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError("it is no PEM certificate") from None
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} certificates instead of one")
    return found[0]


def _site_in(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        names = x509.SubjectAlternativeName([])
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    site = unquote(uris[0].removeprefix(_SITE)) if len(uris) == 1 and uris[0].startswith(_SITE) else ""
    if not _NAME.match(site):
        raise ValueError("it does not name a site")
    return site


def _builder(fingerprint: str) -> x509.CertificateBuilder:
    # The fingerprint as the subject keeps two certificates of one name apart where TLS looks for the right one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(int(fingerprint[:30], 16) + 1)
        .not_valid_before(_FROM)
        .not_valid_after(_FOR_EVER)
    )


def _extended(
    builder: x509.CertificateBuilder, public: _PublicKey, names: Sequence[x509.GeneralName]
) -> x509.CertificateBuilder:
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    extended = (
        builder.public_key(public)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return extended.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else extended


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
