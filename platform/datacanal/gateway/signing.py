"""The key that cursors are signed with: one for all gateways of a home."""

from __future__ import annotations

from pathlib import Path

from datacanal.homes import kept_key

_FILE = "gateway.key"


def cursor_secret(home: Path) -> bytes:
    """The key, made by whoever asks first."""
    return kept_key(home, _FILE)
