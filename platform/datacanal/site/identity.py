"""Who a site is, to others and to itself: one key, the certificate of it, and what the site pinned when it joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from datacanal.certificates import Certificate, site_certificate
from datacanal.homes import SITE_CERTIFICATE, SITE_MEMBERSHIP, write_secret
from datacanal.protocol.base import Document
from datacanal.serving.tls import KeyPair, ensure_key_pair
from datacanal.site.keys import SiteKeys, load_keys


@dataclass(frozen=True, repr=False)
class SiteIdentity:
    """`pair` are the files that TLS reads; its certificate is what owners of other sites pin."""

    keys: SiteKeys
    certificate: Certificate
    pair: KeyPair

    @property
    def site(self) -> str:
        return self.certificate.site


class Membership(Document):
    """What a site keeps of the control plane that it joined, and nothing else does it believe of it.

    `door` (URL) may move; `certificate` (PEM) is the door's, `issuer` signs authorities (public key, base64). `anchor`
    (PEM) is the public door's certificate where the token vouched for it; `token` is the id of the one it joined with.
    """

    door: str
    certificate: str
    issuer: str
    anchor: str = ""
    token: str = ""


def load_identity(home: Path, site: str, randomness: Callable[[int], bytes]) -> SiteIdentity:
    """The identity of the site that lives in this home, made on first use."""
    keys = load_keys(home, randomness)
    certificate = site_certificate(keys.signing, site)
    pair = ensure_key_pair(KeyPair(home / SITE_CERTIFICATE, home / "certificate.key"), certificate.pem, keys.signing)
    return SiteIdentity(keys, certificate, pair)


def load_membership(home: Path) -> Membership | None:
    """What was pinned; None where the site has not joined, or the file is not whole (it is then joined anew)."""
    try:
        return Membership.model_validate_json((home / SITE_MEMBERSHIP).read_bytes())
    except (OSError, ValidationError):
        return None


def save_membership(home: Path, membership: Membership) -> None:
    """Keep it; durably, before the token that it was bought with goes."""
    write_secret(home / SITE_MEMBERSHIP, membership.model_dump_json().encode())
