"""Values as callers write them, in the normal form of their column's type.

The normal form is a text that DuckDB casts to the type without loss; equal values have equal texts.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from duckdb.sqltypes import DuckDBPyType

from datacanal.formats.types import NESTED, name_of
from datacanal.products.query_form import Operator

_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_WHOLE = re.compile(r"[+-]?[0-9]{1,100}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})")
_REAL = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,5})?")
_NAMED_REALS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = r"([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))?"
_CLOCK = re.compile(_TIME)
_DAYS_END = ("24:00", "24:00:00")
_MOMENT = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[Tt ]{_TIME})?(Z|z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?")
_LOST_PLUS = re.compile(r".*[0-9] [0-9]{2}(?::?[0-9]{2})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FRACTION_DIGITS = {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3, "TIMESTAMP_NS": 9, "TIMESTAMPTZ_NS": 9, "TIME_NS": 9}
_ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_TEXTS = ("VARCHAR", "ENUM", "JSON")


def refuses_filters(kind: DuckDBPyType) -> str:
    """Why a column of that type cannot be filtered; an empty text where it can."""
    name = name_of(kind)
    if name in NESTED:
        return f"columns of the nested type {kind} cannot be filtered"
    return "" if _reader(name) is not None else f"columns of the type {kind} cannot be filtered"


def normal_value(text: str, kind: DuckDBPyType, operator: Operator) -> str:
    """The value's normal form. Raises `ValueError` that says what the type needs."""
    if operator == "isnull":
        return _bool(text, kind)
    if operator == "like" and name_of(kind) not in _TEXTS:
        raise ValueError(f"like is for texts; the column is {kind}")
    reader = _reader(name_of(kind))
    if reader is None:
        raise ValueError(refuses_filters(kind))
    return reader(text, kind)


def _reader(name: str) -> Callable[[str, DuckDBPyType], str] | None:
    if name.removeprefix("U") in _BITS:
        return _whole
    if name.startswith("TIMESTAMP"):
        return _moment
    if name in _TEXTS:
        return _text
    return {
        "BOOLEAN": _bool, "DECIMAL": _decimal, "FLOAT": _real, "DOUBLE": _real, "DATE": _date,
        "TIME": _clock, "TIME_NS": _clock, "UUID": _uuid,
    }.get(name)  # fmt: skip


def _text(text: str, _kind: DuckDBPyType) -> str:
    if not text.isprintable() and any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("not valid UTF-8")
    return text


def _bool(text: str, _kind: DuckDBPyType) -> str:
    if text not in ("true", "false"):
        raise ValueError("true or false is needed")
    return text


def _whole(text: str, kind: DuckDBPyType) -> str:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"a whole number ({kind}) is needed")
    name = name_of(kind)
    bits = _BITS[name.removeprefix("U")]
    low, high = (0, 2**bits - 1) if name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= int(text) <= high:
        raise ValueError(f"out of the range of {kind}, {low} to {high}")
    return str(int(text))


def _decimal(text: str, kind: DuckDBPyType) -> str:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"a decimal number ({kind}) is needed, such as 12.5")
    precision, scale = (int(str(size)) for _, size in kind.children)
    sign, digits, exponent = Decimal(text).as_tuple()
    whole = int("".join(map(str, digits)))
    shift = scale + int(exponent)
    scaled, lost = (whole * 10**shift, 0) if shift >= 0 else divmod(whole, 10**-shift)
    if lost:
        raise ValueError(f"more than the {scale} digits after the point that {kind} holds")
    if scaled >= 10**precision:
        raise ValueError(f"out of the range of {kind}")
    return _point_set(-scaled if sign else scaled, scale)


def _point_set(scaled: int, scale: int) -> str:
    digits = str(abs(scaled)).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return f"-{text}" if scaled < 0 else text


def _real(text: str, kind: DuckDBPyType) -> str:
    if text in _NAMED_REALS:
        return _NAMED_REALS[text]
    if _REAL.fullmatch(text) is None:
        raise ValueError(f"a number ({kind}), NaN, Infinity or -Infinity is needed")
    try:
        value = float(text) if name_of(kind) == "DOUBLE" else struct.unpack("f", struct.pack("f", float(text)))[0]
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"out of the range of {kind}")
    # Minus zero equals zero.
    return repr(value + 0.0)


def _date(text: str, _kind: DuckDBPyType) -> str:
    if _DATE.fullmatch(text) is None:
        raise ValueError("a date is needed, written 2024-02-29")
    return _calendar_day(text).isoformat()


def _calendar_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"there is no day {text}") from None


def _clock(text: str, kind: DuckDBPyType) -> str:
    matched = _CLOCK.fullmatch(text)
    if matched is None:
        raise ValueError("a time is needed, written 10:30:00 or 10:30:00.123456")
    fraction = _fraction(matched[2], kind)
    if matched[1] in _DAYS_END and not fraction:
        return "24:00:00"
    return _time_of_day(matched[1]).isoformat() + fraction


def _time_of_day(text: str | None) -> time:
    try:
        return time.fromisoformat(text or "00:00")
    except ValueError:
        raise ValueError(f"there is no time {text}") from None


def _fraction(digits: str | None, kind: DuckDBPyType) -> str:
    kept = (digits or "").rstrip("0")
    most = _FRACTION_DIGITS.get(name_of(kind), 6)
    if len(kept) > most:
        raise ValueError(f"more than the {most} digits of a second that {kind} holds")
    return f".{kept}" if kept else ""


def _moment(text: str, kind: DuckDBPyType) -> str:
    matched = _MOMENT.fullmatch(text)
    if matched is None:
        raise ValueError(_how_moments_are_written(text, kind))
    day, clock, fraction, zone = matched.groups()
    zoned = name_of(kind) in _ZONED
    if zoned != (zone is not None):
        raise ValueError(_how_moments_are_written(text, kind))
    moment = datetime.combine(_calendar_day(day), _time_of_day(clock), UTC)
    try:
        moment -= _offset(zone) if zone else timedelta()
    except OverflowError:
        raise ValueError("out of the range of years, 0001 to 9999") from None
    # strftime writes years before 1000 with fewer digits.
    return moment.replace(tzinfo=None).isoformat(" ") + _fraction(fraction, kind) + ("+00" if zoned else "")


def _offset(zone: str) -> timedelta:
    if zone in "Zz":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or offset > timedelta(hours=18):
        raise ValueError(f"there is no time zone {zone}")
    return -offset if zone.startswith("-") else offset


def _how_moments_are_written(text: str, kind: DuckDBPyType) -> str:
    if name_of(kind) not in _ZONED:
        return "a timestamp without a time zone is needed, written 2024-02-29T10:00:00"
    hint = "; a + in an address is written %2B" if _LOST_PLUS.fullmatch(text) else ""
    return f"a timestamp with its time zone is needed, written 2024-02-29T10:00:00Z{hint}"


def _uuid(text: str, _kind: DuckDBPyType) -> str:
    if _UUID.fullmatch(text) is None:
        raise ValueError("a UUID is needed, written 123e4567-e89b-12d3-a456-426614174000")
    return text.lower()
