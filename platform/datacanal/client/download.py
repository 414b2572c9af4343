"""A result into a file: written beside its place and moved there when whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datacanal.client.connection import Connection
from datacanal.client.result import ResultStream
from datacanal.domain.errors import FileNotWritable
from datacanal.protocol.public import ResultFormat

_CHUNK_BYTES = 2**20


def write_result(connection: Connection, job: str, path: Path, result_format: ResultFormat) -> Path:
    """Fetch the result in the given format into `path`."""
    with ResultStream(connection, job, result_format) as stream, atomic_file(path) as file:
        while chunk := stream.read(_CHUNK_BYTES):
            file.write(chunk)
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at `path` when the block ends well, and not at all otherwise.

    What is no regular file (a pipe, /dev/stdout) is written directly. Raises `FileNotWritable`.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as direct:
                yield direct
            return
        with _renamed_when_whole(path) as beside:
            yield beside
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileNotWritable(file=str(path), reason=error.strerror or str(error)) from None


@contextmanager
def _renamed_when_whole(path: Path) -> Iterator[BinaryIO]:
    target = path.resolve()  # through a symbolic link, so that the link stays one
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        beside.chmod(_mode_for(target))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _mode_for(target: Path) -> int:
    """What the file had, else what the process would give a new one (mkstemp's own is 0600)."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
