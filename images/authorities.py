"""A site's own certificate authorities, as its images' trust store takes them: one file for each."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from images.failures import CannotBuild


def authorities_in(bundle: Path) -> dict[str, bytes]:
    """Every certificate of a PEM bundle by the name of its file; raises CannotBuild where it holds none."""
    try:
        found = x509.load_pem_x509_certificates(bundle.read_bytes())
    except OSError as error:
        raise CannotBuild(f"CA_BUNDLE={bundle} cannot be read: {error.strerror}", "Name a PEM file.") from error
    except ValueError as error:
        raise CannotBuild(
            f"CA_BUNDLE={bundle} holds no certificates in PEM form: {error}",
            "Give certificates that begin with -----BEGIN CERTIFICATE-----, one after the other.",
        ) from error
    return {f"site-{number}.crt": each.public_bytes(Encoding.PEM) for number, each in enumerate(found, start=1)}
