"""What one Parquet file's footer says, and how the footers of many files add up to a column's statistics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.catalogue import ColumnStatistics

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"})
_INSTANTS = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS"})
_ORDINARY_YEAR = re.compile(r"^\d{4}-[^(]*$")  # not 44 BC, not the year 10000
_LONGEST_TEXT = 32
"""Characters. Writers cut longer text in the footer, some of them without saying so."""


class FooterColumn(Document):
    """One top-level column of a file; `min` and `max` only where the footer's are exact."""

    type: str
    compressed_bytes: int
    null_count: int | None = None
    min: str | None = None
    max: str | None = None


class Footer(Document):
    """`signature` is equal for files with the same physical schema."""

    rows: int
    signature: str
    columns: dict[str, FooterColumn] = Field(default_factory=dict)


Ordered = Callable[[str], Any]


def order_of(duckdb_type: str) -> Ordered | None:
    """How texts of the type compare, or None where a footer's minimum is not to be relied on."""
    if duckdb_type in _INTEGERS or duckdb_type.startswith("DECIMAL("):
        return Decimal
    if duckdb_type in ("DOUBLE", "FLOAT"):
        return float
    if duckdb_type in _INSTANTS or duckdb_type == "VARCHAR":
        return str
    return None


def is_plain(text: str, duckdb_type: str) -> bool:
    """Whether texts of the type compare as `order_of` says: ordinary years, short strings."""
    if duckdb_type in _INSTANTS:
        return _ORDINARY_YEAR.match(text) is not None
    return len(text) <= _LONGEST_TEXT


def bounds(pairs: Iterable[tuple[str | None, str | None]], duckdb_type: str) -> tuple[str | None, str | None]:
    """The smallest and the largest of many (min, max), or (None, None) where one of them is unknown."""
    order = order_of(duckdb_type)
    lows: list[str] = []
    highs: list[str] = []
    for low, high in pairs:
        if low is None or high is None or not is_plain(low, duckdb_type) or not is_plain(high, duckdb_type):
            return None, None
        lows.append(low)
        highs.append(high)
    if order is None or not lows:
        return None, None
    return min(lows, key=order), max(highs, key=order)


def add_up(name: str, duckdb_type: str, footers: Iterable[Footer]) -> ColumnStatistics:
    """The statistics of one column over files; a file without the column holds NULL in every row."""
    compressed, nulls, known = 0, 0, True
    pairs: list[tuple[str | None, str | None]] = []
    for footer in footers:
        column = footer.columns.get(name.casefold())
        if column is None:
            nulls += footer.rows
            continue
        compressed += column.compressed_bytes
        known = known and column.null_count is not None
        nulls += column.null_count or 0
        if column.null_count != footer.rows:
            same_order = _comparable(column.type, duckdb_type)
            pairs.append((column.min, column.max) if same_order else (None, None))
    low, high = bounds(pairs, duckdb_type)
    return ColumnStatistics(compressed_bytes=compressed, null_count=nulls if known else None, min=low, max=high)


def _comparable(of_file: str, of_dataset: str) -> bool:
    if of_file == of_dataset:
        return True
    return of_file in _INTEGERS and of_dataset in _INTEGERS
