"""When two results are the same: the equality that planning promises.

The same multiset of rows, names and types; integers, decimals and text exact; floats within 1e-9 relative; NaN equals
NaN and -0.0 equals 0.0, at any depth of nesting; the order as far as the statement's ORDER BY determines it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

RELATIVE = 1e-9
# The order of summation moves a sum by about terms * 2^-53 of the terms' magnitude: 1e-12 allows some ten thousand.
OF_MAGNITUDE = 1e-12
SHOWN_ROWS = 5

Exact = tuple[Any, ...]
Floats = tuple[float, ...]
Row = tuple[Exact, Floats]


class ResultsDiffer(AssertionError):
    """Two results are not the same; the message names the first differences."""


def assert_same(
    actual: pa.Table,
    expected: pa.Table,
    ordered_by: Sequence[int | str] | None = None,
    *,
    magnitude: float = 0.0,
) -> None:
    """Raise `ResultsDiffer` unless `actual` is what `expected` is, by the equality of planning.

    `ordered_by` names the result's columns that its ORDER BY sorts by, by position or name: the sequence of their
    values must agree row by row, while rows that tie may change places. `magnitude` is the size of the terms whose
    sums may cancel (zero: none do); floats may then also differ by 1e-12 of it.
    """
    _assert_same_columns(actual, expected)
    if actual.num_rows != expected.num_rows:
        raise ResultsDiffer(f"{actual.num_rows} rows, expected {expected.num_rows}{_surplus(actual, expected)}")
    if actual.equals(expected):
        return
    closeness = _Closeness(magnitude)
    got, wanted = _rows(actual), _rows(expected)
    missing, extra = _unmatched(got, wanted, closeness)
    if missing or extra:
        raise ResultsDiffer(_difference(actual, expected, extra, missing))
    if ordered_by:
        _assert_same_order(actual, expected, ordered_by, closeness)


def type_name(arrow_type: pa.DataType) -> str:
    """A type's name without what two engines may spell differently: string layouts and names of list elements."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return str(arrow_type)
    if pa.types.is_dictionary(arrow_type):
        return f"dictionary<{type_name(arrow_type.value_type)}>"
    if pa.types.is_struct(arrow_type):
        return "struct<" + ", ".join(f"{field.name}: {type_name(field.type)}" for field in arrow_type) + ">"
    if pa.types.is_map(arrow_type):
        return f"map<{type_name(arrow_type.key_type)}, {type_name(arrow_type.item_type)}>"
    if pa.types.is_fixed_size_list(arrow_type):
        return f"list<{type_name(arrow_type.value_type)}>[{arrow_type.list_size}]"
    if _is_list(arrow_type):
        return f"list<{type_name(arrow_type.value_type)}>"
    return str(arrow_type).removeprefix("large_").removesuffix("_view")


def _is_list(arrow_type: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_list_view, pa.types.is_large_list_view)
    return any(test(arrow_type) for test in tests)


class _Closeness:
    def __init__(self, magnitude: float) -> None:
        self._absolute = abs(magnitude) * OF_MAGNITUDE

    def of(self, one: float, other: float) -> bool:
        if one == other:
            return True
        return abs(one - other) <= max(RELATIVE * max(abs(one), abs(other)), self._absolute)

    def of_all(self, some: Floats, others: Floats) -> bool:
        return all(self.of(one, other) for one, other in zip(some, others, strict=True))


def _assert_same_columns(actual: pa.Table, expected: pa.Table) -> None:
    if actual.column_names != expected.column_names:
        raise ResultsDiffer(f"columns {actual.column_names}, expected {expected.column_names}")
    for got, wanted in zip(actual.schema, expected.schema, strict=True):
        if type_name(got.type) != type_name(wanted.type):
            raise ResultsDiffer(f"column {got.name!r} is {type_name(got.type)}, expected {type_name(wanted.type)}")


def _rows(table: pa.Table) -> list[Row]:
    """Every row as its exact part and its floats in order, so that equal exact parts have comparable floats."""
    if not table.num_columns:
        return [((), ())] * table.num_rows
    columns = [_split_column(column) for column in table.columns]
    if not any(any(floats) for _, floats in columns):
        return [(exact, ()) for exact in zip(*(exact for exact, _ in columns), strict=True)]
    rows: Iterable[tuple[Any, ...]] = zip(*(zip(exact, floats, strict=True) for exact, floats in columns), strict=True)
    return [(tuple(cell[0] for cell in row), tuple(number for cell in row for number in cell[1])) for row in rows]


def _split_column(column: pa.ChunkedArray) -> tuple[list[Any], list[Floats]]:
    values = _plain(column).to_pylist()
    if not _holds_floats(column.type):
        return [_hashable(value) for value in values] if pa.types.is_nested(column.type) else values, [()] * len(values)
    exact: list[Any] = []
    floats: list[Floats] = []
    for value in values:
        found: list[float] = []
        exact.append(_without_floats(value, found))
        floats.append(tuple(found))
    return exact, floats


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a type whose values turn into Python fast and without loss (nanoseconds, time zones)."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_timestamp(column.type) or pa.types.is_time64(column.type):
        return column.cast(pa.int64())
    return column


def _holds_floats(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _holds_floats(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type):
        return _holds_floats(arrow_type.value_type)
    if pa.types.is_nested(arrow_type):
        return any(_holds_floats(arrow_type.field(number).type) for number in range(arrow_type.num_fields))
    return bool(pa.types.is_floating(arrow_type))


def _without_floats(value: Any, found: list[float]) -> Any:
    """The value with a mark where each finite float was; those go to `found` in order."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return repr(value)
        found.append(value)
        return float
    if isinstance(value, dict):
        return tuple((key, _without_floats(item, found)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_without_floats(item, found) for item in value)
    return value


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    return value


def _unmatched(got: list[Row], wanted: list[Row], closeness: _Closeness) -> tuple[list[int], list[int]]:
    """Positions of the expected rows that nothing matched, and of the actual rows that matched nothing."""
    groups: dict[Exact, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for position, (exact, _) in enumerate(got):
        groups[exact][0].append(position)
    for position, (exact, _) in enumerate(wanted):
        groups[exact][1].append(position)
    missing: list[int] = []
    extra: list[int] = []
    for ours, theirs in groups.values():
        left, right = _pair(ours, theirs, got, wanted, closeness)
        extra += left
        missing += right
    return sorted(missing), sorted(extra)


def _pair(
    ours: list[int], theirs: list[int], got: list[Row], wanted: list[Row], closeness: _Closeness
) -> tuple[list[int], list[int]]:
    """What stays over on both sides when rows of one exact part are paired by their floats."""
    if not (ours and theirs):
        return ours, theirs
    if not got[ours[0]][1]:
        pairs = min(len(ours), len(theirs))
        return ours[pairs:], theirs[pairs:]
    ours = sorted(ours, key=lambda position: got[position][1])
    theirs = sorted(theirs, key=lambda position: wanted[position][1])
    if len(ours) == len(theirs) and all(
        closeness.of_all(got[one][1], wanted[other][1]) for one, other in zip(ours, theirs, strict=True)
    ):
        return [], []
    return _match(ours, theirs, got, wanted, closeness)


def _match(
    ours: list[int], theirs: list[int], got: list[Row], wanted: list[Row], closeness: _Closeness
) -> tuple[list[int], list[int]]:
    """A largest matching, by augmenting paths: sorting alone misleads where first floats differ by rounding only."""
    candidates = {one: [other for other in theirs if closeness.of_all(got[one][1], wanted[other][1])] for one in ours}
    owner: dict[int, int] = {}
    extra = [one for one in ours if not _augment(one, candidates, owner)]
    return extra, [other for other in theirs if other not in owner]


def _augment(start: int, candidates: dict[int, list[int]], owner: dict[int, int]) -> bool:
    """Find a partner for `start`, moving earlier pairs where needed (breadth first, so that no depth can overflow)."""
    came_from: dict[int, int] = {}
    waiting = [start]
    for one in waiting:
        for other in candidates[one]:
            if other in came_from:
                continue
            came_from[other] = one
            if other not in owner:
                _flip(other, came_from, owner)
                return True
            waiting.append(owner[other])
    return False


def _flip(free: int, came_from: dict[int, int], owner: dict[int, int]) -> None:
    partners = {one: other for other, one in owner.items()}
    other: int | None = free
    while other is not None:
        one = came_from[other]
        owner[other] = one
        other = partners.get(one)


def _assert_same_order(
    actual: pa.Table, expected: pa.Table, ordered_by: Sequence[int | str], closeness: _Closeness
) -> None:
    positions = [actual.column_names.index(key) if isinstance(key, str) else key for key in ordered_by]
    pairs = zip(_rows(actual.select(positions)), _rows(expected.select(positions)), strict=True)
    for number, (got, wanted) in enumerate(pairs):
        if got[0] != wanted[0] or not closeness.of_all(got[1], wanted[1]):
            keys = [actual.column_names[position] for position in positions]
            ours, theirs = _shown(actual.select(positions), [number]), _shown(expected.select(positions), [number])
            raise ResultsDiffer(f"the order by {keys} differs at row {number}:{ours}\nexpected{theirs}")


def _surplus(actual: pa.Table, expected: pa.Table) -> str:
    missing, extra = _unmatched(_rows(actual), _rows(expected), _Closeness(0.0))
    return _difference(actual, expected, extra, missing)


def _difference(actual: pa.Table, expected: pa.Table, extra: list[int], missing: list[int]) -> str:
    return (
        f"\n{len(extra)} rows that are not expected:{_shown(actual, extra)}"
        f"\n{len(missing)} rows that are missing:{_shown(expected, missing)}"
    )


def _shown(table: pa.Table, positions: list[int]) -> str:
    rows = "".join(f"\n  {_row(table, position)}" for position in positions[:SHOWN_ROWS])
    return rows + (f"\n  … and {len(positions) - SHOWN_ROWS} more" if len(positions) > SHOWN_ROWS else "")


def _row(table: pa.Table, position: int) -> dict[str, Any] | list[Any]:
    """The row with its names, unless two columns of one name would hide each other."""
    cells = [column[position].as_py() for column in table.columns]
    named = dict(zip(table.column_names, cells, strict=True))
    return named if len(named) == len(cells) else cells
