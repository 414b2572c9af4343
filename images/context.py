"""What a build is sent: a tar of exactly the files that it was given, the same bytes whenever they are the same."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from images.digests import code_files

Part = Path | bytes


def write_context(parts: Mapping[str, Part], out: BinaryIO) -> None:
    """Each part by its name in the build: bytes, a file, or a folder with all its code files (none is a folder too)."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, part in sorted(parts.items()):
            if isinstance(part, Path) and part.is_dir():
                _add_folder(tar, name, part)
            else:
                _add(tar, name, part.read_bytes() if isinstance(part, Path) else part)


def _add_folder(tar: tarfile.TarFile, name: str, folder: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)
    for file in sorted(code_files(folder)):
        _add(tar, f"{name}/{file.relative_to(folder)}", file.read_bytes())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))
