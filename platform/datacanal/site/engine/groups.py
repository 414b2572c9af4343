"""An aggregate task: its relation, grouped by SQL that the kernel writes itself, and the guard beside the groups.

The relation is all that a user's statement decides. What is grouped, measured and guarded comes from the `Protection`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from datacanal.domain.errors import EngineFailed, TooManyGroups
from datacanal.planning.grouping import guard, numbered_groups, output
from datacanal.protocol.plan import Protection
from datacanal.site.engine.output import OutputFile
from datacanal.site.engine.profile import scanned_bytes
from datacanal.site.engine.specification import Task
from datacanal.site.engine.statement import check_columns, relation_of, run_into

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAIRS_AT_MOST = 20_000_000
"""Pairs of group and individual that a guard may hold: 1.4 GB on disk, and at the gate half a minute and 2 GB."""
_RELATION = "temp.main.datacanal_relation"
_GROUPS = "temp.main.datacanal_groups"
_BATCH_ROWS = 122_880


def run_groups(connection: DuckDBPyConnection, task: Task, groups: OutputFile) -> tuple[int, int]:
    """Write the groups into the output and the guard into `task.guard`. Gives the groups' rows and the bytes scanned.

    Raises `TooManyGroups` and what DuckDB raises; no guard stays then.
    """
    protection, guard_file = _told(task)
    check_columns(relation_of(connection, task.sql, task.params), task.relation, named=True)
    connection.execute(f"CREATE TEMP TABLE {_RELATION} AS {task.sql}\n", task.params or None)
    scanned = scanned_bytes(connection)
    connection.execute(f"CREATE TEMP TABLE {_GROUPS} AS {numbered_groups(protection, _RELATION)}")
    rows = run_into(connection, task.model_copy(update={"sql": output(protection, _GROUPS), "params": {}}), groups)
    reader = connection.sql(guard(protection, _RELATION, _GROUPS)).to_arrow_reader(_BATCH_ROWS)
    with _new_file(guard_file):
        _write_guard(reader, guard_file, PAIRS_AT_MOST)
    return rows, scanned


def _told(task: Task) -> tuple[Protection, Path]:
    """What an aggregate task needs beside its statement. Without an entity nobody could be counted."""
    if task.protection is None or not task.protection.entities or task.guard is None:
        raise EngineFailed(reason="an aggregate step names no individuals or no place for its guard")
    return task.protection, Path(task.guard)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """The file that is made inside the block, gone where the block fails."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write_guard(reader: Any, path: Path, pairs_at_most: int) -> None:
    """An uncompressed stream: hashes do not compress, and the gate maps it."""
    pairs = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, reader.schema) as stream:
        for batch in reader:
            pairs += batch.num_rows
            if pairs > pairs_at_most:
                raise TooManyGroups(found="more pairs of group and individual", limit=pairs_at_most)
            stream.write_batch(batch)
