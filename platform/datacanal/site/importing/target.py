"""The dataset that an import adds to: its schema goes on meaning the same, and a file appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datacanal.domain.errors import ImportRefused, LakeUnreadable
from datacanal.planning.quoting import glob_escaped
from datacanal.site.importing.reading import Schema
from datacanal.site.lakes.scan import ListedFolder, list_lake

_INTEGERS = ("UTINYINT", "TINYINT", "USMALLINT", "SMALLINT", "UINTEGER", "INTEGER", "UBIGINT", "BIGINT", "HUGEINT")
_FORBIDDEN_STARTS = (".", "_")
_LONGEST_NAME_BYTES = 200
_KEPT_IN_PARQUET = {"HUGEINT": "DECIMAL(38,0)", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}


@dataclass(frozen=True)
class Target:
    """A dataset's folder in a lake, there or not yet, and the columns that it has (by DuckDB's names)."""

    lake: str
    root: Path
    name: str
    columns: Schema

    @property
    def folder(self) -> Path:
        return self.root / self.name


def open_target(lake: str, root: Path, name: str, connection: duckdb.DuckDBPyConnection) -> Target:
    """The dataset as it is. Raises `ImportRefused` where nothing can be added to it."""
    full_name = f"{lake}.{name}"
    _check_name(full_name, name)
    try:
        listing = list_lake(root)
    except OSError as error:
        raise LakeUnreadable(lake=lake, url=root.as_uri(), reason=error.strerror or str(error)) from None
    twin = next((other for other in listing if other != name and other.casefold() == name.casefold()), None)
    if twin is not None:
        reason = f"the lake has a dataset {twin!r}, which differs only in upper and lower case"
        raise ImportRefused(file=full_name, reason=reason, hint=f"Use --name {twin!r}, or another name.")
    return Target(lake, root, name, _columns(full_name, root, listing.get(name, ListedFolder()), connection))


def _check_name(full_name: str, name: str) -> None:
    bad = not name or name.startswith(_FORBIDDEN_STARTS) or any(char in name for char in "/\\\0=\n\r")
    try:
        bad = bad or len(name.encode()) > _LONGEST_NAME_BYTES
    except UnicodeEncodeError:
        bad = True
    if bad:
        hint = "Use any letters, up to 200 bytes, without / \\ = or a . or _ at the start."
        raise ImportRefused(file=full_name, reason="this cannot be the name of a dataset", hint=hint)


def _columns(full_name: str, root: Path, folder: ListedFolder, connection: duckdb.DuckDBPyConnection) -> Schema:
    if folder.problem:
        raise ImportRefused(file=full_name, reason=folder.problem, hint="Repair the dataset first.")
    if not folder.files:
        return {}
    if any(file.partition for file in folder.files):
        hint = "Import into a new dataset, or write the files with the tool that lays out the folders."
        raise ImportRefused(file=full_name, reason="it is laid out in key=value folders", hint=hint)
    paths = [glob_escaped(str(root / file.path)) for file in folder.files]
    try:
        rows = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet($paths, union_by_name=true, hive_partitioning=false)", {"paths": paths}
        ).fetchall()
    except duckdb.Error as error:
        reason = f"its files cannot be read: {str(error).splitlines()[0]}"
        raise ImportRefused(file=full_name, reason=reason, hint="Repair the dataset first.") from None
    return {name: kind for name, kind, *_ in rows}


def agreed(file: str, target: Target, sniffed: Schema, given: Schema) -> Schema:
    """The types to read with: the dataset's where it has the column, else what was given or found.

    Raises `ImportRefused` where the two cannot mean the same.
    """
    existing = {name.casefold(): kind for name, kind in target.columns.items()}
    return {
        name: _agreed(file, target, name, kind, existing.get(name.casefold()), is_given=name in given)
        for name, kind in sniffed.items()
    }


def _agreed(file: str, target: Target, name: str, found: str, existing: str | None, *, is_given: bool) -> str:
    if existing is None or found == existing or _KEPT_IN_PARQUET.get(found) == existing:
        return found
    if not is_given and _fits(found, existing):
        return existing
    raise ImportRefused(
        file=file,
        reason=f"column {name!r} is {found}, but in {target.lake}.{target.name} it is {existing}",
        hint=f"Give --type {name}={existing} if every value fits, or import into another dataset.",
    )


def _fits(found: str, existing: str) -> bool:
    """Whether text that looks like the one type may be read as the other without changing its meaning."""
    if _is_nested(found) or _is_nested(existing):
        return False
    if existing == "VARCHAR" or found in ("VARCHAR", "JSON", '"NULL"'):
        return True
    if found in _INTEGERS:
        return existing in (*_INTEGERS, "DOUBLE", "FLOAT") or existing.startswith("DECIMAL")
    if found == "DOUBLE":
        return existing == "FLOAT" or existing.startswith("DECIMAL")
    return (found, existing) in (("DATE", "TIMESTAMP"), ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"))


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP(", "UNION("))


def kept_type(kind: str) -> str:
    """The type that the Parquet file is given: the same, or the nearest that holds every value."""
    return _KEPT_IN_PARQUET.get(kind, kind)


@contextmanager
def staging(root: Path, import_id: str) -> Iterator[Path]:
    """A hidden folder in the lake, on the same file system as the dataset; gone afterwards."""
    folder = root / f".import-{import_id}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(file: Path, target: Target, name: str) -> Path:
    """Move a finished file into the dataset so that it appears at once and survives a power cut."""
    _sync(file)
    place = target.folder / name
    if not target.folder.exists():
        fresh = file.parent / "dataset"
        fresh.mkdir()
        file.rename(fresh / name)
        _sync(fresh)
        try:
            fresh.rename(target.folder)
        except OSError:  # somebody made the dataset meanwhile
            (fresh / name).rename(place)
    else:
        file.rename(place)
    _sync(target.folder)
    _sync(target.root)
    return place


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
