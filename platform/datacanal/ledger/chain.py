"""Events of the book as they are hashed: before they are written, and as a database gives them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from datacanal.domain.chain import FIELDS, digest, follow, instant

TIMES = (FIELDS.index("at"), FIELDS.index("reserved_at"))


def link(before: str, event: Mapping[str, Any]) -> str:
    """The hash (sha256, hex) of an event that follows the event of that hash."""
    return follow(before, digest(hashed(event)))


def hashed(event: Mapping[str, Any]) -> list[Any]:
    """The values of an event that are hashed, of a mapping with its instants as `datetime`."""
    values = [event[name] for name in FIELDS]
    for place in TIMES:
        values[place] = instant(values[place])
    return values


def stored(row: Sequence[Any]) -> list[Any]:
    """The same of the values that the database keeps, in the order of `FIELDS`; what follows them stays.

    No two contents of a row give the same: text that is stored in another form than ours is marked as such.
    """
    values = list(row)
    for place in TIMES:
        values[place] = stored_instant(values[place])
    return values


def stored_instant(value: Any) -> Any:
    """An instant as the database keeps it (SQLite: as text without its zone) in the form that is hashed."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str):
        return f"{value[:10]}T{value[11:]}+00:00" if value[10:11] == " " else f"?{value}"
    return value
