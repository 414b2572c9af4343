"""What the gateways of a home were asked: append-only files of JSON lines, which the replay reads.

One file per process under `<home>/gateway/access/`, another one when it has grown large.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 256 * 1024


def access_folder(home: Path) -> Path:
    """Where the access files of this home are."""
    return home / "gateway" / "access"


def recent_queries(home: Path, product: str, n: int) -> list[str]:
    """Distinct answered queries of the product as query strings in normal form, at most `n`, the newest first."""
    found: dict[str, None] = {}
    for entry in _newest_first(access_folder(home)):
        query = entry.get("query")
        if entry.get("product") == product and isinstance(query, str) and entry.get("status") in (200, 304):
            found[query] = None
            if len(found) == n:
                break
    return list(found)


def _newest_first(folder: Path) -> Iterator[dict[str, Any]]:
    """Entries of one file after the other, by when the file was written last: good enough to choose what to replay."""
    files = sorted(folder.glob("*.ndjson"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files:
        for line in _lines_backwards(file):
            try:
                entry = json.loads(line)
            except ValueError:  # cut short by a crash
                continue
            if isinstance(entry, dict):
                yield entry


def _lines_backwards(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        at = stream.seek(0, 2)
        rest = b""
        while at > 0:
            size = min(_BLOCK_BYTES, at)
            at -= size
            stream.seek(at)
            rest, *lines = (stream.read(size) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
        if rest:
            yield rest
