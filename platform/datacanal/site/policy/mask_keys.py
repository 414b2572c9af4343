"""The key that the mask `hash` uses: one per lake, made on first use and kept at the site for its owner only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from datacanal.homes import write_secret

_BYTES = 32


class MaskKeys:
    """Keys in a folder. Whoever has one can try values against the lake's hashes; a lost one changes every hash."""

    def __init__(self, folder: Path, randomness: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._randomness = randomness
        self._lock = threading.Lock()

    def of(self, lake: str) -> str:
        """The lake's key, in hex."""
        file = self._folder / f"{lake}.key"
        with self._lock:
            if not file.exists():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_secret(file, self._randomness(_BYTES))
            return file.read_bytes().hex()
