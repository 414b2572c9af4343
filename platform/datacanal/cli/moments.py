"""Spans and instants as people write them: `12h`, `30d`, or an ISO date or time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from datacanal.domain.errors import BadField

_SPAN = re.compile(r"^(\d{1,6})([smhdw])$")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """So long before now, or that instant. Raises `BadField`, which names the option."""
    return _moment(text, now, -1, option)


def parse_expiry(text: str, now: datetime) -> datetime:
    """So long from now on, or that instant, which must be to come. Raises `BadField`."""
    moment = _moment(text, now, 1, "--expires")
    if moment <= now:
        raise BadField(field="--expires", reason=f"{text!r} is not in the future")
    return moment


def _moment(text: str, now: datetime, direction: int, option: str) -> datetime:
    """An instant that names no zone is in UTC."""
    span = _SPAN.match(text)
    try:
        far = {_UNIT[span[2]]: direction * int(span[1])} if span else {}
        moment = now + timedelta(**far) if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadField(field=option, reason=f"{text!r} is neither a span (30d, 12h) nor an ISO time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
