"""Which rows of decoded columns pass: the filters and the place of a walk, as Arrow computes them.

Types whose comparison in Arrow is DuckDB's are `COMPARABLE`; all others are DuckDB's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce

import pyarrow as pa
import pyarrow.compute as pc

from datacanal.products.cursor import Key
from datacanal.products.query_form import Filter, Order

COMPARABLE = frozenset(
    f"{sign}{name}" for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
) | {"VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}  # fmt: skip
_REALS = frozenset({"FLOAT", "DOUBLE"})
_COMPARE = {"gt": pc.greater, "gte": pc.greater_equal, "lt": pc.less, "lte": pc.less_equal}


def filterable(each: Filter) -> bool:
    """Whether `passing` gives what DuckDB gives."""
    if each.operator == "like":
        return False
    if each.operator == "isnull" or comparable(each.type):
        return True
    if each.type in _REALS:
        return "nan" not in each.values
    return each.type == "BOOLEAN" and each.operator in ("eq", "ne", "in")


def comparable(type_: str) -> bool:
    """Whether Arrow orders values of the DuckDB type as DuckDB does."""
    return type_ in COMPARABLE or type_.startswith("DECIMAL(")


@lru_cache(maxsize=4096)
def scalars(texts: tuple[str, ...], kind: pa.DataType) -> pa.Array:
    """Normal texts as values. Raises `pa.ArrowInvalid` for what Arrow cannot write, such as a date before Christ."""
    return pa.array(texts, pa.string()).cast(kind)


def passing(each: Filter, column: pa.Array) -> pa.Array:
    """One boolean per row; null does not pass."""
    if each.operator == "isnull":
        return column.is_null() if each.values == ("true",) else column.is_valid()
    values = scalars(each.values, column.type)
    match each.operator:
        case "eq":
            return pc.equal(column, values[0])
        case "in":
            return _one_of(column, values)
        case "ne":
            return pc.and_(pc.invert(_one_of(column, values)), column.is_valid())
    passed = _COMPARE[each.operator](column, values[0])
    # DuckDB holds NaN to be greater than every number.
    return pc.or_(passed, pc.is_nan(column)) if each.type in _REALS and each.operator in ("gt", "gte") else passed


def _one_of(column: pa.Array, values: pa.Array) -> pa.Array:
    if pa.types.is_floating(column.type):
        # A set of Arrow's holds minus zero to be another value than zero.
        return pc.fill_null(reduce(pc.or_, [pc.equal(column, value) for value in values]), fill_value=False)
    return pc.is_in(column, values)


def after(order: Sequence[Order], key: Key, columns: Mapping[str, pa.Array]) -> pa.Array:
    """The rows that come after the key, whose texts are none of them null."""
    found: pa.Array | None = None
    for each, text in zip(reversed(order), reversed(key), strict=True):
        column = columns[each.column]
        value = scalars((text or "",), column.type)[0]
        beyond = pc.less(column, value) if each.descending else pc.greater(column, value)
        found = beyond if found is None else pc.or_(beyond, pc.and_(pc.equal(column, value), found))
    return found


def selected(masks: Sequence[pa.Array], columns: Sequence[pa.Array]) -> list[pa.Array]:
    """The columns' rows that pass every mask; not copied where they lie together."""
    if not masks:
        return list(columns)
    rows = pc.indices_nonzero(reduce(pc.and_, masks))
    if not len(rows):
        return [column.slice(0, 0) for column in columns]
    first, last = rows[0].as_py(), rows[-1].as_py()
    if last - first + 1 == len(rows):
        return [column.slice(first, len(rows)) for column in columns]
    return [column.take(rows) for column in columns]
