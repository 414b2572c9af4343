"""Which constants can be cast. DuckDB leaves one that cannot in its plan, to raise when it runs."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

_Json = dict[str, Any]

_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 39}
"""Digits of the largest integer."""
_BITS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2}(\.\d{1,6})?)?")


def constant_fits(value: _Json, target: _Json) -> bool:
    """Whether casting the constant (`value` of a BOUND_CONSTANT) to the type cannot raise."""
    source = value.get("type") or {}
    if source == target or value.get("is_null"):
        return True
    content, name = value.get("value"), target.get("id")
    if isinstance(content, str):
        return source.get("id") == "VARCHAR" and _is_read_as(content, target)
    if not isinstance(content, int) or isinstance(content, bool):
        return False
    if source.get("id") not in (*_BITS, "DECIMAL"):
        return False
    if name in ("FLOAT", "DOUBLE"):
        return True
    scale = _decimal(source)[1]
    if name in _BITS:
        return scale == 0 and abs(content) < 2 ** _BITS[name]
    wide, fine = _decimal(target)
    return name == "DECIMAL" and fine >= scale and abs(content) < 10 ** (wide - fine + scale)


def decimal_holds(source: _Json, target: _Json) -> bool:
    """Whether a decimal or an inexact number takes every number of the source type."""
    wide, fine = _decimal(source)
    if source.get("id") != "DECIMAL":
        wide, fine = _DIGITS.get(str(source.get("id")), 0), 0
    if not wide:
        return False
    if target.get("id") == "DOUBLE":
        return True
    whole, part = _decimal(target)
    return target.get("id") == "DECIMAL" and part >= fine and whole - part >= wide - fine


def _decimal(kind: _Json) -> tuple[int, int]:
    info = kind.get("type_info") or {}
    return (int(info.get("width", 18)), int(info.get("scale", 0))) if kind.get("id") == "DECIMAL" else (0, 0)


def _is_read_as(text: str, target: _Json) -> bool:
    """Texts of the one form that people write, and names of an enum's values."""
    match target.get("id"):
        case "DATE" if _DATE.fullmatch(text):
            return _parses(date.fromisoformat, text)
        case "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" if _MOMENT.fullmatch(text):
            return _parses(datetime.fromisoformat, text)
        case "ENUM":
            return text in ((target.get("type_info") or {}).get("values") or [])
    return target.get("id") == "VARCHAR"


def _parses(read: Any, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True
