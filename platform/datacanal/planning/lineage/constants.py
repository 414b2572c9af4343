"""Constants of a bound plan and boundaries of a policy, as values that can be compared: equal kind, equal value."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Constant = tuple[Literal["number", "text", "moment"], Decimal | str]

_INTEGERS = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT".split()  # noqa: SIM905
)  # one word list reads better than ten quoted strings
_MOMENTS = {"DATE": 10, "TIMESTAMP": 19}
"""Types of days and moments, with the length of their text."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
_TYPED = re.compile(r"(?:DATE|TIMESTAMP)\s*'([^']*)'", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")


def boundary(text: str) -> list[Constant]:
    """What a policy's boundary may mean: a number, a text in quotes, or a day or moment, `DATE` before it or not."""
    text = text.strip()
    if found := _TYPED.fullmatch(text):
        return _listed(_moment(found[1]))
    if found := _QUOTED.fullmatch(text):
        written = found[1].replace("''", "'")
        return [("text", written), *_listed(_moment(written))]
    return _listed(_number(text))


def constant(expression: Any) -> Constant | None:
    """The value of a constant, casts that keep it included; None for anything else."""
    match expression:
        case {"expression_class": "BOUND_CONSTANT", "value": {"is_null": False, "type": kind, "value": value}}:
            return _value(kind, value)
        case {"expression_class": "BOUND_FUNCTION", "type": "OPERATOR_CAST", "children": [child], "return_type": kind}:
            return _kept(constant(child), kind)
    return None


def _value(kind: dict[str, Any], value: Any) -> Constant | None:
    match kind.get("id"):
        case "DECIMAL":
            scale = kind["type_info"].get("scale", 0)
            return ("number", Decimal(value).scaleb(-scale)) if isinstance(value, int) else None
        case name if name in _INTEGERS:
            return _number(str(value))
        case "FLOAT" | "DOUBLE":
            return _number(repr(value))
        case "VARCHAR":
            return ("text", str(value))
    return None


def _kept(value: Constant | None, kind: dict[str, Any]) -> Constant | None:
    """The value after a cast, where the cast keeps it exactly."""
    name = kind.get("id")
    match value:
        case ("number", Decimal() as number):
            return value if _digits(number) <= _scale(kind) else None
        case ("text", str(text)) if name in _MOMENTS:
            return _moment(text) if len(text) == _MOMENTS[str(name)] else None
        case ("text", _) if name == "VARCHAR":
            return value
    return None


def _scale(kind: dict[str, Any]) -> float:
    """Digits behind the point that a type keeps of what a policy would write; none of any for other types."""
    match kind.get("id"):
        case "DECIMAL":
            return int(kind["type_info"].get("scale", 0))
        case "FLOAT" | "DOUBLE":
            return math.inf
    return 0 if kind.get("id") in _INTEGERS else -math.inf


def _digits(number: Decimal) -> int:
    """Digits behind the point."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _moment(text: str) -> Constant | None:
    """A day is its first moment, so that both spellings are equal."""
    if not _MOMENT.fullmatch(text):
        return None
    return "moment", text if len(text) > _MOMENTS["DATE"] else f"{text} 00:00:00"


def _number(text: str) -> Constant | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return ("number", number) if number.is_finite() else None


def _listed(value: Constant | None) -> list[Constant]:
    return [] if value is None else [value]
