"""Quotas and bursts as people write and read them: `rows=5000000/day`, `calls=100/hour:soft`, `50/1s`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from datacanal.domain.errors import BadField
from datacanal.protocol.accounts import SubscriptionView

_QUOTA = re.compile(r"(calls|rows|bytes|compute_ms)=([0-9]{1,19})/(hour|day|month)(:soft)?")
_BURST = re.compile(r"([0-9]{1,9})/([0-9]{1,6})s")


def quotas_from(given: Iterable[str]) -> list[dict[str, Any]]:
    """The quotas of a document. Raises `BadField`."""
    return [_quota(text) for text in given]


def burst_from(text: str) -> dict[str, int]:
    """The burst of a document. Raises `BadField`."""
    found = _BURST.fullmatch(text)
    if found is None:
        raise BadField(field="--burst", reason="write calls/seconds, for instance 50/1s")
    return {"calls": int(found[1]), "window_s": int(found[2])}


def quotas_line(view: SubscriptionView) -> str:
    """What a subscription is held to, in a line."""
    quotas = [
        f"{each.amount:,} {each.dimension} per {each.period}{' (soft)' if each.soft else ''}" for each in view.quotas
    ]
    burst = [f"{view.burst.calls:,} calls within {view.burst.window_s} s"] if view.burst else []
    return ", ".join([*quotas, *burst]) or "nothing"


def _quota(text: str) -> dict[str, Any]:
    found = _QUOTA.fullmatch(text)
    if found is None:
        reason = f"{text[:50]!r} is not like rows=5000000/day or calls=100/hour:soft"
        raise BadField(field="--quota", reason=reason)
    return {"dimension": found[1], "amount": int(found[2]), "period": found[3], "soft": found[4] is not None}
