"""The pool's own certificate authority: whoever holds its key may speak to scheduler and workers, nobody else."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from datacanal.homes import write_secret

_LIFETIME = timedelta(days=3650)
_SKEW = timedelta(days=1)


def make_certificates(directory: Path, now: datetime) -> None:
    """Write those of a new pool, readable by this user alone."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in new_certificates(now).items():
        write_secret(directory / name, content.encode())


def new_certificates(now: datetime) -> dict[str, str]:
    """ca.pem, cert.pem and key.pem for one pool, by these names.

    The authority's key is not kept, so nobody can ever add a member. One certificate serves scheduler, workers and
    runner: they belong together and all die together.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("datacanal pool authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name("datacanal pool"), authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "ca.pem": authority.public_bytes(pem).decode(),
        "cert.pem": certificate.public_bytes(pem).decode(),
        "key.pem": key_pem.decode(),
    }


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
    )
