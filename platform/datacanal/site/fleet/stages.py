"""Stages: folders that the containers of one Python job see, filled with exactly what the job may read."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datacanal.domain.errors import OutOfDisk
from datacanal.site.engine.python_task import GivenTable
from datacanal.site.engine.snapshots import held_open
from datacanal.site.engine.specification import ParquetFile

_COPY_BYTES = 8 * 2**20
_MODE = 0o755


@dataclass(frozen=True)
class StagedDataset:
    """A dataset's own files. `roots` are the lakes, below which each file keeps its place."""

    table: GivenTable
    files: Sequence[ParquetFile]
    roots: Sequence[str]


@dataclass(frozen=True)
class StagedStream:
    """What a step made, or another site sent: an Arrow stream of this site's own."""

    table: GivenTable
    file: Path


Staged = StagedDataset | StagedStream


def make_stage(folder: Path) -> None:
    """An empty one, in the place of whatever an earlier boot left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(_MODE)


def fill_stage(folder: Path, staged: Sequence[Staged]) -> None:
    """Lay the tables out as their `files` say. Blocks for as long as the copies take.

    Raises `SnapshotChanged` and `DatasetUnreadable` for lake files, `OutOfDisk` where the site has no room for them.
    """
    try:
        for each in staged:
            match each:
                case StagedDataset(table, files, roots):
                    _copy_snapshot(folder, table, files, roots)
                case StagedStream(table, file):
                    [name] = table.files
                    _place(folder / name).hardlink_to(file)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutOfDisk(reason="the site has no room for what the function reads") from None


def _copy_snapshot(folder: Path, table: GivenTable, files: Sequence[ParquetFile], roots: Sequence[str]) -> None:
    """Copies, for a link to a lake's file would change the very etag that the snapshot pins."""
    with held_open(table.name, files, roots) as held:
        for opened, name in zip(held, table.files, strict=True):
            with os.fdopen(os.dup(opened.descriptor), "rb") as source, _place(folder / name).open("wb") as copy:
                shutil.copyfileobj(source, copy, _COPY_BYTES)
            opened.check()


def _place(file: Path) -> Path:
    """Its folders may be entered by the containers' user."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def remove_stage(folder: Path) -> None:
    """With all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
