"""Events as a database gives them back, in the form that is hashed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from datacanal.domain.chain import FIELDS, instant

TIMES = (FIELDS.index("at"), FIELDS.index("reserved_at"))


def stored(row: Sequence[Any]) -> list[Any]:
    """The values of an event that are hashed, of those that the database keeps, in the order of `FIELDS`.

    What follows them stays as it is. No two contents of a row give the same: text that is stored in another form than
    ours is marked as such.
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
