"""A site's own certificate authorities: each a file of its own, or words about what is wrong with the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from images.authorities import authorities_in
from images.failures import CannotBuild

from datacanal.certificates import site_certificate


def pem(name: str) -> str:
    return site_certificate(Ed25519PrivateKey.generate(), name).pem


def test_each_certificate_of_a_bundle_becomes_a_file(tmp_path: Path) -> None:
    one, two = pem("one"), pem("two")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# ours\n{one}\n# and theirs\n{two}")
    assert authorities_in(bundle) == {"site-1.crt": one.encode(), "site-2.crt": two.encode()}


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_certificates_is_refused(tmp_path: Path, content: str) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(content)
    with pytest.raises(CannotBuild, match=r"bundle\.pem holds no certificates in PEM form"):
        authorities_in(bundle)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="No such file"):
        authorities_in(tmp_path / "bundle.pem")
