"""The driver's end of the line on which its table leaves."""

from __future__ import annotations

import contextlib
import io
import os


class ResultLine(io.RawIOBase):
    """A writable file for pyarrow; `sent_bytes` went out. A copy that the function forked ends instead of writing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.sent_bytes = 0
        self._descriptor = descriptor
        self._owner = os.getpid()

    def writable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        return self.sent_bytes

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]  # pyarrow hands over nothing else
        """Send all of it. Raises `BrokenPipeError` where nobody reads."""
        if os.getpid() != self._owner:
            os._exit(1)
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.sent_bytes += size
        return size

    def end(self) -> None:
        """Let the reader see the end; libraries' `close` does not."""
        with contextlib.suppress(OSError):  # the function may have closed it
            os.close(self._descriptor)
