"""A column's values as text, by the rules of `datacanal.formats`: plain, as JSON, as a CSV field.

The common types are written here, many times faster than DuckDB plans the expressions; all others are DuckDB's. Tests
hold the two together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.sqltext import parsed_type
from datacanal.formats.texts import csv_text, json_text, leaf_text
from datacanal.formats.types import RULES, name_of

_EXACT = 2**53
_WHOLE_NUMBERS = {f"{sign}{name}" for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")}
_QUOTED_IN_CSV = re.compile(r'\A\Z|[",\r\n]|\A[\t\n\f\r ]|[\t\n\f\r ]\Z')
_PLAIN_SCALE = 6
"""Arrow writes a decimal of more digits after the point with an exponent where it is small."""


class Computes(Protocol):
    """Whoever can evaluate an SQL expression over a column `"c"` of that type."""

    def computed(self, expression: str, column: pa.Array, kind: DuckDBPyType) -> list[str]:
        """The text for each of the column's values."""


class Texts:
    """The three kinds of text, for columns of any DuckDB type. For any number of threads."""

    def __init__(self, engine: Computes) -> None:
        self._engine = engine

    def plain(self, column: pa.Array, type_: str) -> list[str | None]:
        """What DuckDB prints and casts back; null is None."""
        write = _writer(type_)
        kind = _kind(type_)
        written = write(column) if write else None
        return written if written is not None else list(self._engine.computed(leaf_text('"c"', kind), column, kind))

    def json(self, column: pa.Array, type_: str) -> list[str]:
        """JSON texts; null is `null`."""
        kind = _kind(type_)
        write = _writer(type_)
        written = write(column) if write else None
        if written is None:
            return self._engine.computed(json_text('"c"', kind), column, kind)
        return list(_as_json(written, kind))

    def csv(self, column: pa.Array, type_: str) -> list[str]:
        """Fields; null is empty, the empty text is quoted."""
        kind = _kind(type_)
        write = _writer(type_)
        written = write(column) if write else None
        if written is None:
            return self._engine.computed(csv_text('"c"', kind), column, kind)
        if name_of(kind) == "VARCHAR":
            return ["" if text is None else _csv_field(text) for text in written]
        return ["" if text is None else text for text in written]


_Texts = list[str | None]


@lru_cache(maxsize=4096)
def _kind(type_: str) -> DuckDBPyType:
    return parsed_type(type_)


@lru_cache(maxsize=4096)
def _writer(type_: str) -> Callable[[pa.Array], _Texts | None] | None:
    """What writes the type's values; it gives None for values that only DuckDB can write."""
    name = name_of(_kind(type_))
    if name in _WHOLE_NUMBERS:
        return _whole
    return {
        "BOOLEAN": _bool, "DOUBLE": _real, "VARCHAR": _as_it_is, "DECIMAL": _decimal, "DATE": _date,
        "TIMESTAMP": _timestamp, "TIMESTAMP WITH TIME ZONE": _instant, "TIME": _time,
    }.get(name)  # fmt: skip


def _as_json(texts: Iterable[str | None], kind: DuckDBPyType) -> Iterable[str]:
    match RULES[name_of(kind)].text:
        case "plain":
            return ("null" if text is None else text for text in texts)
        case "wide":
            return ("null" if text is None else _wide(text) for text in texts)
        case "real":
            return ("null" if text is None else text if text[-1].isdigit() else f'"{text}"' for text in texts)
    if name_of(kind) == "VARCHAR":
        return ("null" if text is None else encode_basestring(text) for text in texts)
    return ("null" if text is None else f'"{text}"' for text in texts)


def _wide(text: str) -> str:
    return text if len(text) < 16 or -_EXACT <= int(text) <= _EXACT else f'"{text}"'


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED_IN_CSV.search(text) else text


def _as_it_is(column: pa.Array) -> _Texts:
    return list(column.to_pylist())


def _whole(column: pa.Array) -> _Texts:
    return [None if value is None else str(value) for value in column.to_pylist()]


def _bool(column: pa.Array) -> _Texts:
    return [None if value is None else "true" if value else "false" for value in column.to_pylist()]


def _real(column: pa.Array) -> _Texts:
    return [None if value is None else _real_text(value) for value in column.to_pylist()]


def _real_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(column: pa.Array) -> _Texts:
    if column.type.scale <= _PLAIN_SCALE:
        return list(column.cast(pa.string()).to_pylist())
    return [None if value is None else format(value, "f") for value in column.to_pylist()]


def _date(column: pa.Array) -> _Texts | None:
    if not _within(column, date.min, date.max):
        return None
    return list(column.cast(pa.string()).to_pylist())


def _timestamp(column: pa.Array) -> _Texts | None:
    if not _within(column, datetime.min, datetime.max):  # noqa: DTZ901  # the type has no zone
        return None
    return [None if text is None else _short(text) for text in column.cast(pa.string()).to_pylist()]


def _instant(column: pa.Array) -> _Texts | None:
    written = _timestamp(column.cast(pa.timestamp("us")))
    return written and [None if text is None else f"{text}+00" for text in written]


def _time(column: pa.Array) -> _Texts | None:
    return [None if text is None else _short(text) for text in column.cast(pa.string()).to_pylist()]


def _short(text: str) -> str:
    """Without the zeros that end a fraction of a second."""
    return text[:-7] if text.endswith(".000000") else text.rstrip("0")


def _within(column: pa.Array, least: Any, greatest: Any) -> bool:
    """Whether all values lie in the years that Arrow and Python write as DuckDB does."""
    bounds: Any = pc.min_max(column)
    low, high = pa.scalar(least, column.type), pa.scalar(greatest, column.type)
    return not bounds["min"].is_valid or bool(
        pc.greater_equal(bounds["min"], low).as_py() and pc.less_equal(bounds["max"], high).as_py()
    )
