"""The oracle: what one DuckDB over all the lakes answers, which is what Datacanal must answer too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from datacanal.planning.instant import instant_statements
from datacanal.planning.quoting import glob_escaped, identifier, literal, literals

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET arrow_lossless_conversion = true",
    "SET python_enable_replacements = false",
    "SET enable_progress_bar = false",
)


@dataclass(frozen=True)
class Answer:
    """A result and the DuckDB type of each of its columns."""

    table: pa.Table
    types: list[str]


class Oracle:
    """One DuckDB in which each lake is a schema and each dataset's folder a view.

    `now` is the one instant that `now()` and its kin give. Bare dataset names resolve as in Datacanal, as long as one
    lake alone has them. Statements are run as they are: nothing here is a gate.
    """

    def __init__(self, lakes: Mapping[str, Path], *, now: str, threads: int = 1, memory: str = "4GB") -> None:
        self._connection = duckdb.connect(config={"threads": threads, "memory_limit": memory})
        for setting in (*_SETTINGS, *instant_statements(now)):
            self._connection.execute(setting)
        for lake, folder in lakes.items():
            self._add_lake(lake, folder)
        if lakes:
            path = ",".join(identifier(lake) for lake in [*lakes, "main"])
            self._connection.execute(f"SET search_path = {literal(path)}")

    def _add_lake(self, lake: str, folder: Path) -> None:
        self._connection.execute(f"CREATE SCHEMA {identifier(lake)}")
        for dataset in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
            files = [str(file) for file in sorted(dataset.rglob("*.parquet"))]
            if files:
                view = f"{identifier(lake)}.{identifier(dataset.name)}"
                self._connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {_reader(files)}")

    def run(self, sql: str, params: Mapping[str, Any] | None = None) -> Answer:
        """The answer, in lossless Arrow types. Raises `duckdb.Error` where the statement fails."""
        relation = self._connection.sql(sql, params=dict(params) if params else None)
        return Answer(table=relation.to_arrow_table(), types=[str(kind) for kind in relation.types])

    def restored(self, table: pa.Table, types: Sequence[str]) -> pa.Table:
        """A fetched table with each column cast back from its public type, in lossless Arrow types.

        A UNION, which arrives as a struct, stays what it is.
        """
        plain = table.rename_columns([f"x{number}" for number in range(table.num_columns)])
        casts = ", ".join(_cast(f"x{number}", kind) for number, kind in enumerate(types))
        if not casts:
            return table
        self._connection.register("restored", plain)
        try:
            found = self._connection.sql(f"SELECT {casts} FROM restored").to_arrow_table()
        finally:
            self._connection.unregister("restored")
        return found.rename_columns(table.column_names)

    def interrupt(self) -> None:
        """Ask a statement that runs in another thread to end."""
        with suppress(duckdb.Error):
            self._connection.interrupt()

    def close(self) -> None:
        """Free what the database holds."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cast(column: str, kind: str) -> str:
    return column if kind.startswith("UNION") else f"CAST({column} AS {kind}) AS {column}"


def _reader(files: list[str]) -> str:
    return f"read_parquet({literals(map(glob_escaped, files))}, union_by_name = true, hive_partitioning = true)"
