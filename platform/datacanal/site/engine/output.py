"""An output file: written beside its name, counted, digested, limited, flushed to disk, then named."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from datacanal.domain.errors import OutputTooLarge

TEMPORARY_SUFFIX = ".tmp"


class OutputFile:
    """A writable file for pyarrow that appears under its name only when `commit` is called.

    Left without a commit nothing stays. What went wrong in a write is kept in `failure`, because a library between
    may turn it into an error of its own.
    """

    def __init__(self, path: Path, limit_bytes: int | None) -> None:
        self.path = path
        self.bytes = 0
        self.failure: Exception | None = None
        self.closed = False
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        self._temporary = temporary_path(path)
        self._file: BinaryIO = self._temporary.open("wb")

    @property
    def digest(self) -> str:
        """The sha256 of what was written so far, hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Append; raises `OutputTooLarge` above the limit and `OSError` where the disk is full."""
        size = len(memoryview(data).cast("B")) if not isinstance(data, bytes) else len(data)
        if self._limit_bytes is not None and self.bytes + size > self._limit_bytes:
            self.failure = OutputTooLarge(limit_bytes=self._limit_bytes)
            raise OutputTooLarge(limit_bytes=self._limit_bytes)
        try:
            self._file.write(data)
        except OSError as error:
            # A copy: the raised one's traceback leads to whoever writes here, and that circle would never be freed.
            self.failure = OSError(error.errno, error.strerror)
            raise
        self._digest.update(data)
        self.bytes += size
        return size

    def tell(self) -> int:
        """How many bytes were written."""
        return self.bytes

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._file.flush()

    def readable(self) -> bool:
        """Always false."""
        return False

    def writable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always false."""
        return False

    def close(self) -> None:
        """Libraries close their sink; the file stays open until it is committed or left."""

    def commit(self) -> None:
        """Make the file durable and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.path)

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.failure = None
        with contextlib.suppress(OSError):  # what could not be written cannot be flushed either
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Where an output grows before it has its name."""
    return path.with_name(path.name + TEMPORARY_SUFFIX)
