"""The copy of the checkpoints in a second place: a file with a line for each, only ever appended to."""

from __future__ import annotations

import os
from pathlib import Path

from datacanal.domain.checkpoint import FIRST_MARK, Checkpoint, read_line
from datacanal.domain.metering_errors import LedgerDamaged

_MOST_LINE_BYTES = 4096


class SecondPlace:
    """Only whoever has the turn to seal writes it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def complete(self, last: Checkpoint | None) -> None:
        """Let the copy end with this checkpoint, the book's last one; durable when it comes back.

        It may lack that one line, or the end of it, as after a crash. Raises `LedgerDamaged` where it lacks more or
        holds something else, and `OSError` where it cannot be written.
        """
        size, end = self._end()
        line = last.line.encode() if last else b""
        if end == line or (last is not None and end.endswith(b"\n" + line)):
            return
        whole, _, torn = end.rpartition(b"\n")
        if last is None or not line.startswith(torn) or not _leads_to(whole, last, size - len(torn)):
            number = last.number if last else 0
            raise LedgerDamaged(
                place=f"event {last.count if last else 0}", reason=f"{self._file} does not lead to checkpoint {number}"
            )
        self._append(size - len(torn), line)

    def _end(self) -> tuple[int, bytes]:
        try:
            with self._file.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _MOST_LINE_BYTES))
                return size, stream.read()
        except FileNotFoundError:
            return 0, b""

    def _append(self, keep_bytes: int, line: bytes) -> None:
        is_new = not self._file.exists()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.truncate(keep_bytes)
            stream.seek(keep_bytes)
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            _sync_folder(self._file.parent)


def _leads_to(whole: bytes, last: Checkpoint, kept_bytes: int) -> bool:
    if not kept_bytes:
        return last.previous == FIRST_MARK
    before = read_line(whole.rpartition(b"\n")[2].decode("ascii", "replace") + "\n")
    return before is not None and before.mark == last.previous


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
