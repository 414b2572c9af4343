"""What lies in a directory lake now: datasets and their Parquet files, by `stat` alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from datacanal.site.engine.etag import etag_of

SUFFIX = ".parquet"
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ListedFile:
    """`path` is relative to the lake; `partition` holds the URL-decoded values of `key=value` folders."""

    path: str
    size_bytes: int
    etag: str
    partition: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ListedFolder:
    """One dataset: its files in the order of their paths, or why they cannot be listed.

    `snapshot` is how this content is called already; empty: it gets an id of its own.
    """

    files: tuple[ListedFile, ...] = ()
    problem: str = ""
    snapshot: str = ""


Listing = dict[str, ListedFolder]


def list_lake(root: Path) -> Listing:
    """Every dataset folder of the lake by its name.

    Raises `OSError` where the lake itself cannot be listed.
    """
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if not _is_hidden(entry.name) and entry.is_dir())
    listing: Listing = {}
    without_case: dict[str, str] = {}
    for name in names:
        printable = os.fsencode(name).decode(errors="replace")
        twin = without_case.setdefault(name.casefold(), name)
        if printable != name:
            listing[printable] = ListedFolder(problem="the name of its folder is not UTF-8")
        elif twin != name:
            listing[name] = ListedFolder(problem=f"its name differs from {twin!r} only in upper and lower case")
        else:
            listing[name] = _list_folder(root, name)
    return listing


def _list_folder(root: Path, name: str) -> ListedFolder:
    try:
        return ListedFolder(tuple(sorted(_files(root, name, (), frozenset()), key=lambda file: file.path)))
    except OSError as error:
        where = Path(str(error.filename)).name
        return ListedFolder(problem=f"{where}: {error.strerror}")


def _is_hidden(name: str) -> bool:
    """Hidden files, and what writers put beside data: `_SUCCESS`, `_delta_log`. `_key=value` is a partition."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _files(
    root: Path, folder: str, partition: tuple[tuple[str, str], ...], above: frozenset[tuple[int, int]]
) -> Iterator[ListedFile]:
    inside = root / folder
    try:
        here = inside.stat()
        entries = list(os.scandir(inside))
    except FileNotFoundError:  # removed while we looked
        return
    identity = (here.st_dev, here.st_ino)
    if identity in above:  # a symbolic link that leads back up
        return
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if _is_hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _files(root, path, partition + _partition_of(entry.name), above | {identity})
        elif entry.name.lower().endswith(SUFFIX):
            yield from _listed(entry, path, partition)


def _partition_of(name: str) -> tuple[tuple[str, str], ...]:
    key, equals, value = name.partition("=")
    return ((key, unquote(value)),) if equals else ()


def _listed(entry: os.DirEntry[str], path: str, partition: tuple[tuple[str, str], ...]) -> Iterator[ListedFile]:
    try:
        stat = entry.stat()
    except FileNotFoundError:
        return
    yield ListedFile(path=path, size_bytes=stat.st_size, etag=etag_of(stat), partition=partition)
