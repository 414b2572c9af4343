"""How a receiver knows a notice for ours: signed as Standard Webhooks 1.0 says, with a secret of the account alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from pathlib import Path

from datacanal.homes import kept_key

_FILE = "webhooks.key"
_PREFIX = "whsec_"


class WebhookSecrets:
    """The accounts' secrets, made from a key that only the home has: the book holds none."""

    def __init__(self, home: Path) -> None:
        self._key = kept_key(home, _FILE)

    def bytes_of(self, account: str, turn: int) -> bytes:
        """The secret; a new one with each turn."""
        return hmac.digest(self._key, f"{account}.{turn}".encode(), hashlib.sha256)

    def text_of(self, account: str, turn: int) -> str:
        """The secret as its receiver is told it."""
        return _PREFIX + base64.b64encode(self.bytes_of(account, turn)).decode("ascii")


def signed(secret: bytes, notice: str, at: datetime, body: bytes) -> dict[str, str]:
    """The header fields of a notice that is sent at that time."""
    seconds = int(at.timestamp())
    mac = hmac.digest(secret, f"{notice}.{seconds}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": notice,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode('ascii')}",
    }
