"""Spans and instants as people write them: `12h`, `30d`, or an ISO date or time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from datacanal.domain.errors import BadField

_SPAN = re.compile(r"^(\d{1,6})([smhdw])$")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime) -> datetime:
    """So long before now, or that instant (UTC where it names no zone). Raises `BadField`."""
    span = _SPAN.match(text)
    try:
        moment = now - timedelta(**{_UNIT[span[2]]: int(span[1])}) if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadField(field="--since", reason=f"{text!r} is neither a span (30d, 12h) nor an ISO time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
