"""Values for the `$names` of a statement, made fit for JSON.

Numbers, text, booleans, None and lists of them go as they are. Dates, times, decimals and UUIDs go as their exact
text (ISO 8601), which DuckDB converts where the statement compares or computes with them; write `$day::DATE` where
nothing else tells the type.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from datacanal.domain.errors import BadParameter


def json_params(params: Mapping[str, Any] | None) -> dict[str, JsonValue]:
    """The same parameters as JSON values. Raises `BadParameter` naming the one that JSON cannot hold."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise BadParameter(name="*", reason='params must map names to values, for instance {"year": 2024}')
    return {_checked_name(name): _json_value(str(name), value) for name, value in params.items()}


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise BadParameter(name=str(name), reason="a parameter's name must be text")
    return name


def _json_value(name: str, value: Any) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _encodable(name, value)
    # numpy's numbers register here as well, without numpy being imported.
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, Decimal | numbers.Real):
        return _finite(name, value)
    if isinstance(value, date | datetime | time):
        return _iso_text(name, value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [_json_value(name, item) for item in value]
    raise BadParameter(
        name=name, reason=f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be sent"
    )


def _encodable(name: str, value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadParameter(name=name, reason="the text holds a lone surrogate, which is no character") from None
    if "\0" in value:
        raise BadParameter(name=name, reason="the text holds a NUL character")
    return value


def _finite(name: str, value: Decimal | numbers.Real) -> str | float:
    if not math.isfinite(value):
        raise BadParameter(name=name, reason=f"{value} is not a finite number; pass None for a missing value")
    return str(value) if isinstance(value, Decimal) else float(value)


def _iso_text(name: str, value: date | time) -> str:
    # pandas' NaT calls itself a datetime and, like NaN, differs from itself.
    if value != value:
        raise BadParameter(name=name, reason="NaT is not a point in time; pass None for a missing value")
    return value.isoformat()
