"""Why a statement failed, where the engine's exception alone does not tell: a broken file, a format too small."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from duckdb.sqltypes import DuckDBPyType

from datacanal.domain.errors import DatasetUnreadable, FormatCannotHold
from datacanal.formats.sqltext import parsed_type
from datacanal.formats.types import NESTED, members, name_of
from datacanal.planning.quoting import glob_escaped, literals
from datacanal.site.engine.snapshots import HeldFile
from datacanal.site.engine.specification import Task

_NARROWED = ("HUGEINT", "UHUGEINT")


def diagnosed(error: Exception, task: Task, held: Sequence[HeldFile]) -> Exception:
    """The error that names the cause, or the error itself."""
    if not isinstance(error, duckdb.Error):
        return error
    broken = _broken_file(error, held)
    if broken is not None:
        return DatasetUnreadable(dataset=broken.dataset, reason=f"{broken.shown} is damaged or not a Parquet file")
    if isinstance(error, duckdb.ConversionException) and not task.gated:
        return _too_small(error, task)
    return error


def _broken_file(error: duckdb.Error, held: Sequence[HeldFile]) -> HeldFile | None:
    said = str(error)
    if isinstance(error, duckdb.InvalidInputException):
        return next((file for file in held if f"'{file.file.path}'" in said), None)
    # The Parquet reader raises what it finds in a damaged file without a class of its own and without the file's name.
    if type(error) in (duckdb.Error, duckdb.IOException, duckdb.SerializationException, duckdb.InternalException):
        return next((file for file in held if not _reads_whole(file)), None)
    return None


def _reads_whole(file: HeldFile) -> bool:
    """Whether every column of the file can be read, on a connection that no failure has touched."""
    with duckdb.connect(":memory:") as connection:
        path = literals([glob_escaped(file.file.path)])
        try:
            connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({path}, hive_partitioning = false)")
            connection.fetchall()
        except duckdb.Error:
            return False
    return True


def _too_small(error: Exception, task: Task) -> Exception:
    """Only the format's own casts convert anything in an export."""
    columns = [column.name for column in task.columns if _is_narrowed(parsed_type(column.type))]
    if not columns:
        return error
    return FormatCannotHold(columns=", ".join(map(repr, columns)), format=task.format)


def _is_narrowed(kind: DuckDBPyType) -> bool:
    name = name_of(kind)
    return name in _NARROWED or (name in NESTED and any(_is_narrowed(child) for _, child in members(kind)))
