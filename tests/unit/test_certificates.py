"""Certificates that are pinned: worth their key, whatever the clock says, and nothing else passes for one."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from datacanal.certificates import fingerprint_in, read_site_certificate, server_certificate, site_certificate

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.mark.parametrize("name", ["core", "zürich_1", "数据", "a" * 63])
def test_a_certificate_holds_the_name_and_the_key_of_its_site(name: str) -> None:
    made = site_certificate(KEY, name)
    assert made.site == name
    assert read_site_certificate(made.pem) == made
    assert fingerprint_in(made.pem.encode()) == made.fingerprint


def test_no_clock_can_be_so_wrong_that_it_is_not_valid() -> None:
    certificate = x509.load_pem_x509_certificate(site_certificate(KEY, "core").pem.encode())
    assert (certificate.not_valid_before_utc.year, certificate.not_valid_after_utc.year) == (2000, 9999)


def test_two_keys_of_one_name_have_two_subjects() -> None:
    """Otherwise TLS would look for the wrong one of the two."""
    one, other = (x509.load_pem_x509_certificate(site_certificate(key, "core").pem.encode()) for key in (KEY, OTHER))
    assert one.subject != other.subject


def signed_by_another() -> str:
    pem = site_certificate(KEY, "core").pem
    certificate = x509.load_pem_x509_certificate(pem.encode())
    builder = x509.CertificateBuilder(
        certificate.issuer, certificate.subject, certificate.public_key(), certificate.serial_number,
        certificate.not_valid_before_utc, certificate.not_valid_after_utc, list(certificate.extensions),
    )  # fmt: skip
    return builder.sign(OTHER, None).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        ("", "no PEM"),
        ("-----BEGIN CERTIFICATE-----", "no PEM"),
        (site_certificate(KEY, "core").pem * 2, "2 certificates"),
        (server_certificate(ec.generate_private_key(ec.SECP256R1()), ["localhost"]), "not Ed25519"),
        (signed_by_another(), "not signed by its own key"),
        ("x" * 20_000, "too large"),
    ],
)
def test_what_is_no_certificate_of_a_site_is_refused_with_the_reason(pem: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_site_certificate(pem)


@pytest.mark.parametrize("name", ["", "../core", "a/b", "core.pem", "1st", "a" * 64, "core\n"])
def test_a_name_that_no_site_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not name a site"):
        site_certificate(KEY, name)
