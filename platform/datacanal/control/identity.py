"""The control plane's word for its users: the issuer signs who submitted what, and every site verifies it itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.homes import write_secret
from datacanal.protocol.authority import Authority, authority_body

_SEED_BYTES = 32


@dataclass(frozen=True, repr=False)
class Issuer:
    """Signs authorities. Sites pin `public` when they join; the key itself never leaves this object."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public key, base64."""
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def signed(self, authority: Authority) -> str:
        """The authority in its text form."""
        body = authority_body(authority)
        return f"{body}.{base64.urlsafe_b64encode(self.key.sign(body.encode())).decode()}"


def load_issuer(home: Path, randomness: Callable[[int], bytes]) -> Issuer:
    """The issuer of this control plane, its key made on first use. The caller holds the home's lock."""
    file = home / "issuer.key"
    if not file.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(file, randomness(_SEED_BYTES))
    return Issuer(Ed25519PrivateKey.from_private_bytes(file.read_bytes()))


def statement_digest(sql: str) -> str:
    """What an authority says of the statement's text as it was submitted: sha256, hex."""
    return hashlib.sha256(sql.encode()).hexdigest()
