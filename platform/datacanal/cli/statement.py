"""Where a command's statement comes from: the argument, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from datacanal.domain.errors import BadField


def read_statement(query: str | None, file: Path | None) -> str:
    """The SQL text. Raises `BadField` when there is none, two, or the file cannot be read."""
    if (query is None) == (file is None):
        raise BadField(field="QUERY", reason="give the statement, or -f FILE, or - for standard input (exactly one)")
    if file is not None and str(file) != "-":
        return _decoded(str(file), _file_bytes(file))
    if query == "-" or file is not None:
        return _decoded("standard input", sys.stdin.buffer.read())
    assert query is not None  # noqa: S101  # exactly one of the two is given
    return query


def _file_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadField(field=str(file), reason=error.strerror or str(error)) from None


def _decoded(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadField(field=source, reason=f"it is not UTF-8 (byte {error.start})") from None
