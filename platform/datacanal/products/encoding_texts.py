"""A column's values as text, by the rules of `datacanal.formats`: plain, as JSON, as a CSV field.

The common types are written here, many times faster than DuckDB plans the expressions; all others are DuckDB's. Tests
hold the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.sqltext import parsed_type
from datacanal.formats.texts import csv_text, json_text, leaf_text
from datacanal.formats.types import RULES, name_of

_EXACT = 2**53
_WHOLE_NUMBERS = {f"{sign}{name}" for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")}
_QUOTED_IN_CSV = re.compile(r'\A\Z|[",\r\n]|\A[\t\n\f\r ]|[\t\n\f\r ]\Z')
_REALS_OF_PYTHON = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_REAL_NAMES = frozenset(_REALS_OF_PYTHON.values())
_EPOCH = date(1970, 1, 1).toordinal()
_DAYS = (date.min.toordinal() - _EPOCH, date.max.toordinal() + 1 - _EPOCH)
_DAY_MICROSECONDS = 86_400_000_000
"""As a time this is 24:00:00, which DuckDB knows and Arrow cannot write."""
_MICROSECONDS = (_DAYS[0] * _DAY_MICROSECONDS, _DAYS[1] * _DAY_MICROSECONDS)
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
        written = write(column) if write else None
        if written is not None:
            return written
        kind = _kind(type_)
        return list(self._engine.computed(leaf_text('"c"', kind), column, kind))

    def json(self, column: pa.Array, type_: str) -> list[str]:
        """JSON texts; null is `null`."""
        write = _writer(type_)
        written = write(column) if write else None
        if written is not None:
            return _as_json(written, type_)
        kind = _kind(type_)
        return self._engine.computed(json_text('"c"', kind), column, kind)

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


def _as_json(texts: _Texts, type_: str) -> list[str]:
    form = _json_form(type_)
    if None in texts:
        return ["null" if text is None else form(text) if form else text for text in texts]
    if form is None or (form is _finite and _REAL_NAMES.isdisjoint(texts)):
        return cast("list[str]", texts)
    return list(map(form, cast("list[str]", texts)))


@lru_cache(maxsize=4096)
def _json_form(type_: str) -> Callable[[str], str] | None:
    """What makes JSON of a plain text; None where that is JSON already."""
    name = name_of(_kind(type_))
    match RULES[name].text:
        case "plain":
            return None
        case "wide":
            return _wide
        case "real":
            return _finite
    return encode_basestring if name == "VARCHAR" else '"{}"'.format


def _wide(text: str) -> str:
    return text if len(text) < 16 or -_EXACT <= int(text) <= _EXACT else f'"{text}"'


def _finite(text: str) -> str:
    return f'"{text}"' if text in _REAL_NAMES else text


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED_IN_CSV.search(text) else text


def _as_it_is(column: pa.Array) -> _Texts:
    return list(column.to_pylist())


def _whole(column: pa.Array) -> _Texts:
    return _each(str, column)


def _bool(column: pa.Array) -> _Texts:
    return _each({True: "true", False: "false"}.__getitem__, column)


def _real(column: pa.Array) -> _Texts:
    texts = _each(repr, column)
    if _REALS_OF_PYTHON.keys().isdisjoint(texts):
        return texts
    return [_REALS_OF_PYTHON.get(text or "", text) for text in texts]


def _each(write: Callable[[Any], str], column: pa.Array) -> _Texts:
    values = column.to_pylist()
    return list(map(write, values)) if not column.null_count else [None if v is None else write(v) for v in values]


def _decimal(column: pa.Array) -> _Texts:
    if column.type.scale <= _PLAIN_SCALE:
        return list(column.cast(pa.string()).to_pylist())
    return [None if value is None else format(value, "f") for value in column.to_pylist()]


def _date(column: pa.Array) -> _Texts | None:
    if not _within(column, np.int32, _DAYS):
        return None
    texts = list(map(_day, _numbers(column, np.int32).tolist()))
    if not column.null_count:
        return cast("_Texts", texts)
    return [text if valid else None for text, valid in zip(texts, column.is_valid().to_pylist(), strict=True)]


@lru_cache(maxsize=65_536)
def _day(number: int) -> str:
    """The text of a day since 1970: few days make up most data, and this is what most of a row would cost."""
    return date.fromordinal(number + _EPOCH).isoformat()


def _timestamp(column: pa.Array) -> _Texts | None:
    if not _within(column, np.int64, _MICROSECONDS):
        return None
    return _shortened(column)


def _instant(column: pa.Array) -> _Texts | None:
    written = _timestamp(column.cast(pa.timestamp("us")))
    return written and [None if text is None else f"{text}+00" for text in written]


def _time(column: pa.Array) -> _Texts | None:
    return _shortened(column) if _within(column, np.int64, (0, _DAY_MICROSECONDS)) else None


def _shortened(column: pa.Array) -> _Texts:
    """Without the zeros that end a fraction of a second."""
    texts = column.cast(pa.string()).to_pylist()
    return [text and (text[:-7] if text.endswith(".000000") else text.rstrip("0")) for text in texts]


def _within(column: pa.Array, unit: type[np.int32 | np.int64], bounds: tuple[int, int]) -> bool:
    """Whether all values lie within the bounds, in which Arrow and Python write them as DuckDB does."""
    numbers = _numbers(column, unit)
    # Behind a null any number may stand; at worst DuckDB is asked for no reason.
    return not len(numbers) or bool(bounds[0] <= numbers.min() and numbers.max() < bounds[1])


def _numbers(column: pa.Array, unit: type[np.int32 | np.int64]) -> np.ndarray[Any, Any]:
    """The numbers that dates and timestamps are, not copied; whatever stands there behind a null."""
    if not len(column):
        return np.empty(0, unit)
    return np.frombuffer(column.buffers()[1], unit)[column.offset : column.offset + len(column)]
