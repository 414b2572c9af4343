"""A log file of bounded size: the newest part and the one before."""

from __future__ import annotations

from pathlib import Path


class CappedLog:
    """Appends; a full file becomes `<name>.1`, replacing the one before."""

    def __init__(self, path: Path, limit_bytes: int = 4 * 2**20) -> None:
        self._path = path
        self._limit_bytes = limit_bytes

    def append(self, data: bytes) -> None:
        """Add what a process said."""
        if self._path.exists() and self._path.stat().st_size + len(data) > self._limit_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        with self._path.open("ab") as file:
            file.write(data[-self._limit_bytes :])
