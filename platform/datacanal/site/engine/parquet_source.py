"""A dataset's Parquet files as a relation with exactly the dataset's columns and types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from datacanal.formats.sqltext import type_text
from datacanal.planning.binding import NamedType
from datacanal.planning.quoting import glob_escaped, identifier, literal, literals
from datacanal.site.engine.specification import ParquetSource

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_FILE = "datacanal_file"


def relation_of(columns: Sequence[NamedType], source: ParquetSource) -> str:
    """The SELECT that reads those columns. Each is named and cast: a file's own order and types do not show."""
    if not source.files:
        return _nothing(columns)
    if not source.partitions:
        return f"SELECT {_casts(columns)} FROM {_reader(source)}"
    if _layout_is_plain(columns, source):
        return f"SELECT {_casts(columns)} FROM {_hive_reader(source)}"
    return _by_file(columns, source)


def _nothing(columns: Sequence[NamedType]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {type_text(column.type)}) AS {identifier(column.name)}" for column in columns)
    return f"SELECT {nulls} WHERE false"


def _casts(columns: Sequence[NamedType]) -> str:
    return ", ".join(
        f"CAST({identifier(column.name)} AS {type_text(column.type)}) AS {identifier(column.name)}"
        for column in columns
    )


def _reader(source: ParquetSource, options: str = ", hive_partitioning = false") -> str:
    files = literals([glob_escaped(file.path) for file in source.files])
    union = ", union_by_name = true" if len(source.files) > 1 else ""
    return f"read_parquet({files}{union}{options})"


def _hive_reader(source: ParquetSource) -> str:
    types = ", ".join(f"{literal(key)}: {type_text(kind)}" for key, kind in source.partitions.items())
    return _reader(source, f", hive_partitioning = true, hive_types = {{{types}}}")


def _layout_is_plain(columns: Sequence[NamedType], source: ParquetSource) -> bool:
    """Whether DuckDB's own reading of `key=value` folders gives the partition columns and disturbs no other.

    It takes every such folder of a path, those above the lake too: one that is called like a column would hide it.
    """
    names = {column.name.lower() for column in columns}
    partitions = {key.lower() for key in source.partitions}
    for file in source.files:
        keys = [key.lower() for key, _ in _folders(file.path)]
        if any(keys.count(key) != 1 for key in partitions) or any(key in names - partitions for key in keys):
            return False
    return True


def _folders(path: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in PurePosixPath(path).parts[:-1] if "=" in part)
    return [(key, value) for key, _, value in parts]


def _by_file(columns: Sequence[NamedType], source: ParquetSource) -> str:
    """Partition values from a table of files, for paths that DuckDB would read wrongly. Slower: no file is skipped."""
    keys = list(source.partitions)
    rows = ", ".join(f"({', '.join(_row(file.path, keys))})" for file in source.files)
    names = ", ".join(identifier(name) for name in [_FILE, *keys])
    options = f", hive_partitioning = false, filename = {literal(_FILE)}"
    return (
        f"SELECT {_casts(columns)} FROM {_reader(source, options)} JOIN (VALUES {rows}) AS p({names}) USING ({_FILE})"
    )


def _row(path: str, keys: list[str]) -> list[str]:
    values = {key.lower(): unquote(value) for key, value in _folders(path)}
    found = (values.get(key.lower(), _NULL_PARTITION) for key in keys)
    return [literal(path), *("NULL" if value == _NULL_PARTITION else literal(value) for value in found)]
