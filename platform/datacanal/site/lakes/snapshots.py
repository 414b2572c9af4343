"""A dataset's snapshot: its exact files and their schema together, under an id made from both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from datacanal.domain.errors import DatasetUnreadable
from datacanal.protocol.base import digest_of
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn, Snapshot, SnapshotFile
from datacanal.site.engine.etag import etag_of
from datacanal.site.lakes.footers import Footer, add_up, bounds
from datacanal.site.lakes.reading import LakeUnread
from datacanal.site.lakes.scan import NULL_PARTITION, ListedFile


class FooterReader(Protocol):
    """Opens Parquet files; `LakeReader` does it in a child process."""

    def footers(self, paths: Sequence[str]) -> tuple[dict[str, Footer], dict[str, str]]: ...

    def describe(self, paths: Sequence[str], *, hive: bool) -> list[tuple[str, str]]: ...


FooterCache = dict[tuple[str, str], Footer]
"""Footers by path (relative to the lake) and etag."""


def take_snapshot(
    root: Path, lake: str, dataset: str, files: Sequence[ListedFile], reader: FooterReader, cache: FooterCache
) -> Snapshot:
    """Read the footers that the cache lacks (it is added to) and put the dataset together.

    Raises `DatasetUnreadable` naming the file at fault.
    """
    full_name = f"{lake}.{dataset}"
    _check_listing(full_name, files)
    footers = _footers(root, full_name, files, reader, cache)
    hive = bool(files[0].partition)
    try:
        described = reader.describe(_paths(root, _representatives(files, footers)), hive=hive)
    except LakeUnread as error:
        raise DatasetUnreadable(dataset=full_name, reason=_without(root, str(error))) from None
    columns = _columns(described, files, footers)
    listed = [
        SnapshotFile(
            path=file.path,
            size_bytes=file.size_bytes,
            etag=file.etag,
            rows=footers[file.path].rows,
            partition=dict(file.partition),
        )
        for file in files
    ]
    return Snapshot(id=snapshot_id(listed, columns), lake=lake, dataset=dataset, columns=columns, files=listed)


def snapshot_id(files: Sequence[SnapshotFile], columns: Sequence[DatasetColumn]) -> str:
    """`snp_` and the digest of file list and schema; statistics do not count."""
    content = [
        [[file.path, file.etag, file.rows, file.deletes] for file in files],
        [[column.name, column.type, column.partition] for column in columns],
    ]
    return "snp_" + digest_of(content)[:40]


def _check_listing(full_name: str, files: Sequence[ListedFile]) -> None:
    if not files:
        raise DatasetUnreadable(dataset=full_name, reason="its folder holds no Parquet file")
    keys = [key for key, _ in files[0].partition]
    for file in files:
        try:
            file.path.encode()
        except UnicodeEncodeError:
            name = file.path.encode(errors="surrogateescape")
            raise DatasetUnreadable(dataset=full_name, reason=f"the file name {name!r} is not UTF-8") from None
        if [key for key, _ in file.partition] != keys:
            reason = f"file {file.path} is not in folders of the same keys ({', '.join(keys) or 'none'}) as the others"
            raise DatasetUnreadable(dataset=full_name, reason=reason)


def _footers(
    root: Path, full_name: str, files: Sequence[ListedFile], reader: FooterReader, cache: FooterCache
) -> dict[str, Footer]:
    unread = {str(root / file.path): file for file in files if (file.path, file.etag) not in cache}
    if unread:
        try:
            found, unreadable = reader.footers(list(unread))
        except LakeUnread as error:
            raise DatasetUnreadable(dataset=full_name, reason=str(error)) from None
        for path, reason in unreadable.items():
            words = f"file {unread[path].path}: {_without(root, reason)}"
            raise DatasetUnreadable(dataset=full_name, reason=words)
        _check_unchanged(full_name, unread)
        cache.update({(unread[path].path, unread[path].etag): footer for path, footer in found.items()})
    return {file.path: cache[file.path, file.etag] for file in files}


def _check_unchanged(full_name: str, files: Mapping[str, ListedFile]) -> None:
    for path, file in files.items():
        try:
            unchanged = etag_of(os.stat(path)) == file.etag  # noqa: PTH116  # the path is text already
        except OSError:
            unchanged = False
        if not unchanged:
            raise DatasetUnreadable(dataset=full_name, reason=f"file {file.path} changed while it was read")


def _without(root: Path, reason: str) -> str:
    """The engine's words without the place of the lake on this machine."""
    return reason.replace(f"{root}/", "")


def _paths(root: Path, files: Sequence[ListedFile]) -> list[str]:
    return [str(root / file.path) for file in files]


def _representatives(files: Sequence[ListedFile], footers: Mapping[str, Footer]) -> list[ListedFile]:
    """The first file of every physical schema and of every partition value: the rest cannot change the schema."""
    seen: set[object] = set()
    chosen = []
    for file in files:
        marks = {footers[file.path].signature, *file.partition}
        if marks - seen:
            chosen.append(file)
            seen |= marks
    return chosen


def _columns(
    described: Sequence[tuple[str, str]], files: Sequence[ListedFile], footers: Mapping[str, Footer]
) -> list[DatasetColumn]:
    keys = {key.casefold() for key, _ in files[0].partition}
    in_files = {name for footer in footers.values() for name in footer.columns}
    columns = []
    for name, duckdb_type in described:
        partition = name.casefold() in keys
        if partition:
            statistics = _partition_statistics(name, duckdb_type, files, footers)
        elif name.casefold() in in_files:
            statistics = add_up(name, duckdb_type, footers.values())
        else:  # a key=value folder above the lake: not this dataset's
            continue
        columns.append(DatasetColumn(name=name, type=duckdb_type, partition=partition, statistics=statistics))
    return columns


def _partition_statistics(
    name: str, duckdb_type: str, files: Sequence[ListedFile], footers: Mapping[str, Footer]
) -> ColumnStatistics:
    rows_of: dict[str, int] = {}
    for file in files:
        value = next(value for key, value in file.partition if key.casefold() == name.casefold())
        rows_of[value] = rows_of.get(value, 0) + footers[file.path].rows
    nulls = rows_of.pop(NULL_PARTITION, 0)
    low, high = bounds([(value, value) for value in rows_of], duckdb_type)
    return ColumnStatistics(compressed_bytes=0, null_count=nulls, distinct_count=len(rows_of), min=low, max=high)
