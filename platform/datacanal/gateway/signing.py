"""The key that cursors are signed with: one for all gateways of a home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from datacanal.homes import write_secret

_FILE = "gateway.key"
_BYTES = 32


def cursor_secret(home: Path) -> bytes:
    """The key, made by whoever asks first."""
    with (home / f"{_FILE}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = home / _FILE
        if not file.is_file():
            write_secret(file, os.urandom(_BYTES).hex().encode())
        return bytes.fromhex(file.read_text("ascii"))
