"""Words of bounded size: a file with the newest part and the one before, or beginning and end in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Log(Protocol):
    """What keeps the words of processes and containers."""

    def append(self, data: bytes) -> None:
        """Add what one of them said."""
        ...


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


class Words:
    """What a job's containers said, in memory: the beginning and the end of it, however much it was."""

    def __init__(self, half_bytes: int = 32 * 2**10) -> None:
        self._half_bytes = half_bytes
        self._first = bytearray()
        self._last = bytearray()
        self._left_out = 0

    def append(self, data: bytes) -> None:
        """Add what a process said."""
        room = self._half_bytes - len(self._first)
        self._first += data[:room]
        self._last += data[room:] if room else data
        excess = max(0, len(self._last) - self._half_bytes)
        del self._last[:excess]
        self._left_out += excess

    def text(self) -> str:
        """All of it, or what is left, with a line that says how much is not."""
        gap = f"\n… {self._left_out} bytes are left out …\n".encode() if self._left_out else b""
        return (bytes(self._first) + gap + bytes(self._last)).decode("utf-8", "replace")
