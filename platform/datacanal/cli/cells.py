"""Arrow values as people read them."""

from __future__ import annotations

import re

import pyarrow as pa

_EMPTY_FRACTION = re.compile(r"\.0+(?=Z|[+-]\d|$)")


def column_texts(column: pa.ChunkedArray) -> list[str]:
    """Each value as text; a missing one is NULL."""
    return [_text(scalar) for scalar in column]


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type is aligned to the right."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _text(scalar: pa.Scalar) -> str:
    if not scalar.is_valid:
        return "NULL"
    if pa.types.is_temporal(scalar.type) and not pa.types.is_interval(scalar.type):
        return _EMPTY_FRACTION.sub("", str(scalar.cast(pa.string())))
    try:
        return _value_text(scalar.as_py())
    except (ValueError, OverflowError):  # a time inside a list that Python's datetime cannot hold
        return " ".join(pa.repeat(scalar, 1).to_string().split())


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02X}" for byte in value)
    if isinstance(value, list):
        return "[" + ", ".join(_inner_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_inner_text(key)}: {_inner_text(item)}" for key, item in value.items()) + "}"
    return str(value)


def _inner_text(value: object) -> str:
    if value is None:
        return "NULL"
    return f"'{value}'" if isinstance(value, str) else _value_text(value)
