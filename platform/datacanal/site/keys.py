"""The agent's own keys, made once and kept in the site's home: one signs fetches, one seals tickets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from datacanal.domain.errors import NotFound
from datacanal.homes import write_secret

_SEED_BYTES = 32
_SIGNING = "signing.key"


@dataclass(frozen=True, repr=False)
class SiteKeys:
    """`seal` never leaves the agent; of the signing key only `public` does."""

    signing: Ed25519PrivateKey
    seal: bytes

    @property
    def public(self) -> str:
        """The public key, base64."""
        return base64.b64encode(self.signing.public_key().public_bytes_raw()).decode()

    def sign(self, text: str) -> str:
        """The signature of the text, base64."""
        return base64.b64encode(self.signing.sign(text.encode())).decode()


def load_keys(home: Path, randomness: Callable[[int], bytes]) -> SiteKeys:
    """The keys of this home, made on first use."""
    seed = _kept(home / _SIGNING, randomness)
    return SiteKeys(Ed25519PrivateKey.from_private_bytes(seed), _kept(home / "ticket.key", randomness))


def public_key(home: Path) -> str:
    """The public key (base64) of an agent's home, read without making one. Raises `NotFound`."""
    try:
        seed = (home / _SIGNING).read_bytes()
    except FileNotFoundError:
        raise NotFound(what="agent's key", name=str(home / _SIGNING)) from None
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()).decode()


def is_signed_by(public: str, text: str, signature: str) -> bool:
    """Whether the holder of the public key signed the text. Nonsense in either is a no."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _kept(file: Path, randomness: Callable[[int], bytes]) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(file, randomness(_SEED_BYTES))
    return file.read_bytes()
