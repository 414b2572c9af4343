"""One Parquet file of a snapshot: its footer, read once, and its decoded columns, kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datacanal.products.manifest import Layout
from datacanal.products.reading_zones import Zones

_MOST_RUNS = 512
"""Of a row group whose first column has more values than this, none are kept."""


class ColumnCache:
    """Decoded columns of row groups, the least recently used dropped first. For any number of threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple[Path, int, str], pa.Array] = OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()

    def get(self, place: tuple[Path, int, str]) -> pa.Array | None:
        """The column, if it is here."""
        with self._lock:
            found = self._held.get(place)
            if found is not None:
                self._held.move_to_end(place)
            return found

    def put(self, place: tuple[Path, int, str], column: pa.Array) -> None:
        """Keep the column, at the cost of those that were not asked for the longest."""
        with self._lock:
            if place not in self._held:
                self._held[place] = column
                self._held_bytes += column.nbytes
            while self._held_bytes > self._most_bytes:
                _, dropped = self._held.popitem(last=False)
                self._held_bytes -= dropped.nbytes


class StoredFile:
    """A layout's file. Opening it reads its footer; every read after that opens the file anew, so threads may share."""

    def __init__(self, folder: Path, layout: Layout, cache: ColumnCache) -> None:
        self.path = folder / layout.file
        self.order = tuple(layout.order)
        self._cache = cache
        with pq.ParquetFile(self.path) as file:
            self._metadata = file.metadata
            self.schema = file.schema_arrow
        self.group_rows = [self._metadata.row_group(at).num_rows for at in range(self._metadata.num_row_groups)]
        self._zones: dict[str, Zones | None] = {}
        self._runs: dict[int, dict[Any, tuple[int, int]] | None] = {}

    def columns(self, group: int, names: Sequence[str], *, keep: bool) -> dict[str, pa.Array]:
        """The decoded columns of one row group; `keep`: for the next reader as well."""
        held = {name: self._cache.get((self.path, group, name)) for name in names}
        missing = [name for name, column in held.items() if column is None]
        if missing:
            for name, column in self._read(group, missing).items():
                held[name] = column
                if keep:
                    self._cache.put((self.path, group, name), column)
        return held

    def span(self, group: int, value: pa.Scalar) -> tuple[int, int] | None:
        """Where the rows lie whose first column has the value: the first row and how many; None: it must be looked for.

        `value` is not null and no floating point number.
        """
        if group not in self._runs:
            [column] = self.columns(group, self.order[:1], keep=True).values()
            self._runs[group] = _runs_of(column)
        runs = self._runs[group]
        return None if runs is None else runs.get(value.as_py(), (0, 0))

    def zones(self, name: str) -> Zones | None:
        """What the footer says about the column; None where it says nothing that may be relied on."""
        if name not in self._zones:
            self._zones[name] = self._read_zones(name)
        return self._zones[name]

    def _read(self, group: int, names: list[str]) -> dict[str, pa.Array]:
        with pq.ParquetFile(self.path, metadata=self._metadata) as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        # pyarrow reads a name with a dot as a member's path as well, so the table may hold more than was asked for.
        return {name: table.column(name).combine_chunks() for name in names}

    def _read_zones(self, name: str) -> Zones | None:
        paths = [self._metadata.schema.column(at).path for at in range(self._metadata.num_columns)]
        # The path of a member `b` of `a` reads like a column `a.b`.
        if paths.count(name) != 1 or pa.types.is_floating(self.schema.field(name).type):
            return None
        bounds = [self._bounds(group, paths.index(name)) for group in range(len(self.group_rows))]
        return Zones([least for least, _ in bounds], [greatest for _, greatest in bounds])

    def _bounds(self, group: int, at: int) -> tuple[Any, Any]:
        statistics = self._metadata.row_group(group).column(at).statistics
        if statistics is None or not statistics.has_min_max:
            return None, None
        try:
            return statistics.min, statistics.max
        except (ValueError, OverflowError):
            # DuckDB's infinite dates are no dates of Python's.
            return None, None


def _runs_of(column: pa.Array) -> dict[Any, tuple[int, int]] | None:
    """First row and length by value; None where there are too many of them to keep, or one that Python has not."""
    runs = pc.run_end_encode(column)
    if len(runs.values) > _MOST_RUNS:
        return None
    ends = runs.run_ends.to_pylist()
    try:
        values = runs.values.to_pylist()
    except (ValueError, OverflowError):
        # DuckDB's infinite dates are no dates of Python's.
        return None
    return {value: (first, end - first) for value, first, end in zip(values, [0, *ends], ends, strict=False)}
