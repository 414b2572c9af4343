"""The files of a snapshot as a task uses them: opened, proven unchanged, held, and proven again at the end."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datacanal.domain.errors import DatasetUnreadable, SnapshotChanged
from datacanal.site.engine.etag import etag_of
from datacanal.site.engine.specification import ParquetFile

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


@dataclass(frozen=True)
class HeldFile:
    """An open lake file; `shown` is its path as people outside the site may see it, relative to the lake."""

    dataset: str
    file: ParquetFile
    shown: str
    descriptor: int

    def check(self) -> None:
        """Raise `SnapshotChanged` unless both the open file and whatever has its name now carry the pinned etag."""
        try:
            held, named = os.fstat(self.descriptor), Path(self.file.path).stat()
        except OSError:
            raise SnapshotChanged(dataset=self.dataset, file=self.shown) from None
        if not etag_of(held) == etag_of(named) == self.file.etag:
            raise SnapshotChanged(dataset=self.dataset, file=self.shown)


@contextlib.contextmanager
def held_open(dataset: str, files: Sequence[ParquetFile], lakes: Sequence[str]) -> Iterator[list[HeldFile]]:
    """Open every file and check it; they stay open until the end of the block.

    Raises `SnapshotChanged` where a file is gone or differs and `DatasetUnreadable` where it may not be read.
    """
    with contextlib.ExitStack() as stack:
        held = []
        for file in files:
            opened = _open(dataset, file, shown_path(file.path, lakes))
            stack.callback(os.close, opened.descriptor)
            opened.check()
            held.append(opened)
        yield held


def shown_path(path: str, lakes: Sequence[str]) -> str:
    """The path relative to the lake that holds it: where a lake lies on a site's disks is the site's own business."""
    for lake in lakes:
        with contextlib.suppress(ValueError):
            return str(Path(path).relative_to(lake))
    return Path(path).name


def _open(dataset: str, file: ParquetFile, shown: str) -> HeldFile:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _GONE:
            raise SnapshotChanged(dataset=dataset, file=shown) from None
        raise DatasetUnreadable(dataset=dataset, reason=f"{shown}: {os.strerror(error.errno or 0)}") from None
    return HeldFile(dataset=dataset, file=file, shown=shown, descriptor=descriptor)
