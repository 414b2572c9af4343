"""The boundaries that predicates may use on an aggregate column, as literals of the column's type."""

from __future__ import annotations

import re
from decimal import Decimal

from datacanal.planning.quoting import literal

_DECIMAL = re.compile(r"DECIMAL\((\d+),\s?(\d+)\)")
_INTEGER = re.compile(r"(U?)(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_BITS = {"TINY": 8, "SMALL": 16, None: 32, "BIG": 64, "HUGE": 128}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d)?")
_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})


def boundary_literal(value: float | str, kind: str) -> str | None:
    """The boundary as a literal: a number, a quoted text, `DATE '…'` or `TIMESTAMP '…'`.

    None where the type has no such value; numbers, VARCHAR, DATE and TIMESTAMP (to the second, no zone) have some.
    """
    if isinstance(value, str):
        return _text(value, kind)
    number = Decimal(str(value))
    return f"{number:f}" if number.is_finite() and _holds(number, kind) else None


def _text(value: str, kind: str) -> str | None:
    if kind == "VARCHAR":
        return literal(value)
    if kind == "DATE" and _DAY.fullmatch(value):
        return f"DATE {literal(value)}"
    if kind in _MOMENTS and _MOMENT.fullmatch(value):
        whole = value.replace("T", " ") if len(value) > len("2020-01-01") else f"{value} 00:00:00"
        return f"TIMESTAMP {literal(whole)}"
    return None


def _holds(number: Decimal, kind: str) -> bool:
    if kind in ("FLOAT", "DOUBLE"):
        return True
    if found := _DECIMAL.fullmatch(kind):
        digits, scale = int(found[1]), int(found[2])
        whole, _, rest = f"{abs(number):f}".partition(".")
        return len(rest.rstrip("0")) <= scale and len(whole.lstrip("0")) <= digits - scale
    if found := _INTEGER.fullmatch(kind):
        bits = _BITS[found[2]]
        low, high = (0, 2**bits - 1) if found[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return number == number.to_integral_value() and low <= number <= high
    return False
