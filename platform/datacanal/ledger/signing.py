"""The key that checkpoints are signed with: `ledger.key` of the home, and `ledger.pub` for whoever verifies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from datacanal.domain.errors import NotFound
from datacanal.homes import kept_key

PRIVATE_FILE = "ledger.key"
PUBLIC_FILE = "ledger.pub"


@dataclass(frozen=True, repr=False)
class LedgerKey:
    """An Ed25519 key; `public` is its public part in hex."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        return self.private.public_key().public_bytes_raw().hex()

    def sign(self, text: str) -> str:
        """The signature of the text, in hex."""
        return self.private.sign(text.encode()).hex()


def ledger_key(home: Path) -> LedgerKey:
    """The key of a home, made by whoever asks first, and its public part beside it."""
    key = LedgerKey(Ed25519PrivateKey.from_private_bytes(kept_key(home, PRIVATE_FILE)))
    public = home / PUBLIC_FILE
    if not public.is_file():
        public.write_text(f"{key.public}\n", "ascii")
    return key


def read_public(file: Path) -> str:
    """The public key in a file like `ledger.pub`. Raises `NotFound`."""
    try:
        text = file.read_text("ascii").strip()
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except (OSError, ValueError):
        raise NotFound(what="public key of a ledger in the file", name=str(file)) from None
    return text
