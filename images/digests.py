"""Names for what was made, from everything that it was made of: the same parts have the same name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_LENGTH = 16


def digest(parts: Iterable[str | bytes]) -> str:
    """A short name of these parts in this order; where one ends and the next begins is part of it."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()[:_LENGTH]


def of_files(root: Path, files: Iterable[Path]) -> str:
    """A short name of the files' paths below the root and contents, in whichever order they come."""
    return digest(part for file in sorted(files) for part in (str(file.relative_to(root)), file.read_bytes()))


def code_files(folder: Path) -> Iterator[Path]:
    """Every file below the folder that belongs to the code: not what Python or a build left there."""
    for file in folder.rglob("*"):
        left_over = any(part == "__pycache__" or part.endswith(".egg-info") for part in file.parts)
        if file.is_file() and not left_over:
            yield file
