"""Filters of a product as Python says them: keyword arguments to the parameters of an address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from datacanal.domain.errors import BadField

_OPERATORS = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "in", "like", "isnull"})
_PLAIN = re.compile(r'[^,"]+')

Names = str | Sequence[str]
"""One name or several."""


def parameters(
    filters: Mapping[str, Any], where: Mapping[str, Any] | None, select: Names | None, order: Names | None
) -> list[tuple[str, str]]:
    """The parameters of an address. Raises `BadField` for a value that no parameter can say.

    `column=value` is an equality, a list of values any of them, `column__gte=value` another operator, `None` a null.
    `where` has the same with names as addresses have them, for columns that are no Python names: `{"成交量.gte": 5}`.
    """
    pairs = [_pair(_subject(name), value) for name, value in filters.items()]
    pairs += [_pair(name, value) for name, value in (where or {}).items()]
    pairs += [(name, _names(name, listed)) for name, listed in (("select", select), ("order", order)) if listed]
    return pairs


def _subject(name: str) -> str:
    column, _, operator = name.rpartition("__")
    return f"{column}.{operator}" if column and operator in _OPERATORS else name


def _pair(name: str, value: Any) -> tuple[str, str]:
    if value is None:
        return f"{name}.isnull", "true"
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return name, ",".join(_item(name, each) for each in _ordered(name, value))
    return name, _item(name, value)


def _ordered(name: str, values: Iterable[Any]) -> Iterator[Any]:
    listed = list(values)
    if not listed:
        raise BadField(field=name, reason="an empty list is equal to nothing; give at least one value")
    yield from listed


def _item(name: str, value: Any) -> str:
    text = _text(name, value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(name: str, value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value  # numpy's numbers
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | Decimal():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
    raise BadField(field=name, reason=f"{type(value).__name__} is no value of a filter; give a number, text or date")


def _names(field: str, given: Names) -> str:
    listed = [given] if isinstance(given, str) else list(given)
    return ",".join(_item(field, each) for each in listed)
