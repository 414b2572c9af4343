"""Types of a function's parameters: their words, and their values as JSON and back.

Sender and control plane read the same words: `int`, `float`, `str`, `bool`, `date`, `datetime`, `Decimal`, `list[…]` of
those, and any of them `| None`. As JSON a date or datetime is its ISO 8601 text, a Decimal its exact text.
"""

from __future__ import annotations

import math
import numbers
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_LARGEST = 2**127 - 1
_WORDS = re.compile(r"^(?:list\[(?P<item>\w+)\]|(?P<scalar>\w+))(?P<optional> \| None)?$", re.ASCII)
Json = bool | int | float | str | list[Any] | None


@dataclass(frozen=True)
class ParameterType:
    """A scalar's name, or a list of that scalar."""

    scalar: str
    is_list: bool = False
    is_optional: bool = False

    def __str__(self) -> str:
        whole = f"list[{self.scalar}]" if self.is_list else self.scalar
        return f"{whole} | None" if self.is_optional else whole

    def encoded(self, value: object) -> Json:
        """The value as JSON. Raises `ValueError` in words for a value that is not of the type."""
        return self._each(value, _SCALARS[self.scalar].encode)

    def check(self, value: object) -> None:
        """Raise `ValueError`, in words, unless the JSON value is one of the type."""
        self._each(value, _SCALARS[self.scalar].check)

    def decoded(self, value: object) -> object:
        """The value that the JSON stands for. Raises `ValueError` as `check` does."""
        self.check(value)
        read = _READERS.get(self.scalar, _as_is)
        if isinstance(value, list | tuple):
            return [read(each) for each in value]
        return None if value is None else read(value)

    def _each(self, value: object, work: Callable[[object], Json]) -> Json:
        if value is None and self.is_optional:
            return None
        if not self.is_list:
            return self._one(value, work)
        if not isinstance(value, list | tuple):
            raise _not_of(str(self), value)
        return [self._one(item, work) for item in value]

    def _one(self, value: object, work: Callable[[object], Json]) -> Json:
        try:
            return work(value)
        except (TypeError, InvalidOperation):
            raise _not_of(str(self), value) from None


def read_type(words: str) -> ParameterType:
    """The type of those words. Raises `ValueError` where they name none."""
    found = _WORDS.match(words)
    scalar = (found["item"] or found["scalar"]) if found else ""
    if found is None or scalar not in _SCALARS:
        raise ValueError(f"{words!r} is no type of a parameter; they are {KNOWN}")
    return ParameterType(scalar, found["item"] is not None, found["optional"] is not None)


def type_of(annotation: object) -> ParameterType:
    """The type that an evaluated annotation means. Raises `ValueError` where no value of it can be sent."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        others = [each for each in arguments if each is not types.NoneType]
        if len(others) == 1 and len(others) < len(arguments):
            whole = type_of(others[0])
            return ParameterType(whole.scalar, whole.is_list, is_optional=True)
    if origin is list and len(arguments) == 1:
        item = type_of(arguments[0])
        if not item.is_list and not item.is_optional:
            return ParameterType(item.scalar, is_list=True)
    if isinstance(annotation, type) and annotation in _BY_CLASS:
        return ParameterType(_BY_CLASS[annotation])
    told = annotation.__name__ if isinstance(annotation, type) and origin is None else str(annotation)
    raise ValueError(f"values of {told} cannot be sent; a parameter is {KNOWN}")


def _not_of(wanted: str, value: object) -> ValueError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    return ValueError(f"{shown} ({type(value).__name__}) was given, {wanted} is needed")


def _bool(value: object) -> Json:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _int(value: object) -> Json:
    # numpy's integers register here as well, without numpy being imported.
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError
    if abs(int(value)) > _LARGEST:
        raise ValueError(f"{value} does not fit 128 bits")
    return int(value)


def _float(value: object) -> Json:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return float(value)


def _str(value: object) -> Json:
    if not isinstance(value, str):
        raise TypeError
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair") from None
    if "\0" in value:
        raise ValueError("the text holds a NUL character")
    return str(value)


def _date(value: object) -> Json:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value.isoformat()


def _datetime(value: object) -> Json:
    # pandas' NaT calls itself a datetime and, like NaN, differs from itself.
    if not isinstance(value, datetime) or value != value:
        raise TypeError
    return value.isoformat()


def _decimal(value: object) -> Json:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return str(value)


def _as_is(value: object) -> object:
    return value


def _is_date(value: object) -> Json:
    return _read(value, date.fromisoformat, "a date is written 2024-02-29")


def _is_datetime(value: object) -> Json:
    return _read(value, datetime.fromisoformat, "a datetime is written 2024-02-29T10:00:00")


def _is_decimal(value: object) -> Json:
    return _decimal(Decimal(value) if isinstance(value, str) else None)


def _read(value: object, parse: Callable[[str], date], hint: str) -> Json:
    if not isinstance(value, str):
        raise TypeError
    try:
        parse(value)
    except ValueError:
        raise ValueError(f"{value!r} was given; {hint}") from None
    return value


@dataclass(frozen=True)
class _Scalar:
    """Both raise `TypeError` for another type and `ValueError`, in words, for a value that cannot be."""

    encode: Callable[[object], Json]
    check: Callable[[object], Json]


_SCALARS = {
    "bool": _Scalar(_bool, _bool),
    "int": _Scalar(_int, _int),
    "float": _Scalar(_float, _float),
    "str": _Scalar(_str, _str),
    "date": _Scalar(_date, _is_date),
    "datetime": _Scalar(_datetime, _is_datetime),
    "Decimal": _Scalar(_decimal, _is_decimal),
}
_READERS: dict[str, Callable[[Any], object]] = {
    "date": date.fromisoformat, "datetime": datetime.fromisoformat, "Decimal": Decimal,
}  # fmt: skip
_BY_CLASS: dict[type, str] = {
    bool: "bool", int: "int", float: "float", str: "str", date: "date", datetime: "datetime", Decimal: "Decimal",
}  # fmt: skip
KNOWN = f"{', '.join(_SCALARS)}, list[…] of one of them, each also … | None"
