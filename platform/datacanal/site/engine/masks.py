"""Masks: what a statement sees instead of a value. One table of the types each takes and gives, and its SQL.

No expression here can raise, whatever the value: an error would be an answer about a value that is hidden.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal

from datacanal.formats.sqltext import type_text
from datacanal.planning.quoting import literal

_WORDS = re.compile(r"year|hash|prefix\((?P<n>\d{1,4})\)|bucket\((?P<width>\d{1,18}(\.\d{1,18})?)\)")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s?(\d+)\)")
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_UNSIGNED = {f"U{name}" for name in _BITS}
_DATED = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"})
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_HASHED = frozenset({"VARCHAR", "UUID", "BOOLEAN", *_BITS, *_UNSIGNED, *_DATED})
_BLOCK = 64
"""Bytes that SHA-256 reads at once; HMAC pads its key to them."""


def check_mask(text: str) -> str:
    """The text itself. Raises `ValueError` where it is no mask."""
    found = _WORDS.fullmatch(text)
    if found is None:
        raise ValueError("a mask is year, hash, prefix(n) or bucket(n)")
    if found["n"] is not None and int(found["n"]) == 0:
        raise ValueError('prefix(0) shows nothing: use class = "secret"')
    if found["width"] is not None and not Decimal(found["width"]):
        raise ValueError("a bucket needs a width above 0")
    return text


def masked_type(mask: str, raw_type: str) -> str | None:
    """The DuckDB type behind the mask, or None where the mask cannot be put over values of that type."""
    found = _parsed(mask)
    if mask == "year":
        return "BIGINT" if raw_type in _DATED else None
    if mask == "hash":
        return "VARCHAR" if raw_type in _HASHED else None
    if found["n"] is not None:
        return "VARCHAR" if raw_type == "VARCHAR" else None
    return raw_type if _bucket(Decimal(found["width"]), raw_type) is not None else None


def takes(mask: str) -> str:
    """The types that the mask can be put over, in words."""
    if mask == "year":
        return "DATE and TIMESTAMP columns"
    if mask == "hash":
        return "integer, VARCHAR, UUID, BOOLEAN, DATE and TIMESTAMP columns"
    if mask.startswith("prefix"):
        return "VARCHAR columns"
    return "number columns that its width is a value of"


def masked(value: str, mask: str, raw_type: str, key: str) -> str:
    """The SQL of the masked value; `value` is the SQL of a raw value of that type. NULL stays NULL.

    `key` (hex) is the lake's own and serves `hash`: equal values of any dataset of the lake have equal hashes.
    """
    found = _parsed(mask)
    if raw_type == "TIMESTAMP WITH TIME ZONE":
        value = f"({value} AT TIME ZONE 'UTC')"
    if mask == "year":
        return f"year({value})"
    if mask == "hash":
        return _hashed(f"CAST({value} AS VARCHAR)", bytes.fromhex(key))
    if found["n"] is not None:
        return f"left({value}, {int(found['n'])})"
    bounds = _bucket(Decimal(found["width"]), raw_type)
    if bounds is None:
        raise ValueError(f"{mask} does not fit {raw_type}")
    return _lower_bound(value, raw_type, *bounds)


def _parsed(mask: str) -> re.Match[str]:
    found = _WORDS.fullmatch(mask)
    if found is None:
        raise ValueError(f"{mask!r} is no mask")
    return found


def _bucket(width: Decimal, raw_type: str) -> tuple[str, str | None] | None:
    """The width and the smallest value of the type as literals; None where the width is no value of the type."""
    if raw_type in _FLOATS:
        return f"{width:f}", None
    if decimal := _DECIMAL.fullmatch(raw_type):
        digits, scale = int(decimal[1]), int(decimal[2])
        places = len(f"{width:f}".partition(".")[2].rstrip("0"))
        largest = f"{'9' * (digits - scale)}.{'9' * scale}".rstrip(".")
        fits = places <= scale and width <= Decimal(largest)
        return (f"{width:f}", f"-{largest}") if fits else None
    if raw_type not in _BITS and raw_type not in _UNSIGNED:
        return None
    bits = _BITS[raw_type.removeprefix("U")]
    low, high = (0, 2**bits - 1) if raw_type in _UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    fits = width == width.to_integral_value() and width <= high
    return (str(int(width)), str(low)) if fits else None


def _lower_bound(value: str, raw_type: str, width: str, low: str | None) -> str:
    """The largest multiple of the width that is not above the value; where the type has none, its smallest value."""
    kind = type_text(raw_type)
    wide = f"CAST({literal(width)} AS {kind})"
    if low is None:
        return f"CAST(floor({value} / {wide}) * {wide} AS {kind})"
    lowest = f"CAST({literal(low)} AS {kind})"
    return (
        f"CAST(CASE WHEN {value} < {lowest} + {wide} THEN {lowest}"
        f" WHEN {value} % {wide} < 0 THEN {value} - {value} % {wide} - {wide}"
        f" ELSE {value} - {value} % {wide} END AS {kind})"
    )


def _hashed(text: str, key: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the text's UTF-8, in hex: the key cannot be found, nor a value tried, without it."""
    padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner, outer = (_blob(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"


def _blob(content: bytes) -> str:
    return f"unhex({literal(content.hex())})"
