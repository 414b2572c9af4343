"""The price of a call before it is made, in the words of an estimate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from datacanal.domain.usage import Terms
from datacanal.ledger.quoting import Quote, quote
from datacanal.ledger.store import LedgerStore

_INTERNAL = "nothing: it is read without a subscription"
_NO_TARIFF = "nothing: the subscription has no tariff"
_AFTERWARDS = "the tariff counts the time of computing, which is known afterwards"


class Quotes:
    """Over the book as it is read now."""

    def __init__(self, store: LedgerStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def told(self, terms: Terms, units: int | None) -> dict[str, Any]:
        """`price` (null where nothing is charged, or it is not known before) and what it is of."""
        if terms.subscription is None or terms.tariff is None:
            return {"price": None, "price_says": _INTERNAL if terms.subscription is None else _NO_TARIFF}
        if units is None:
            return {"price": None, "price_says": _AFTERWARDS}
        found = await asyncio.to_thread(self._quoted, terms, units)
        if found is None:
            return {"price": None, "price_says": _NO_TARIFF}
        said = f"of this call, after {found.so_far:,} units this month; flat fees are due besides"
        return {"price": found.money.model_dump(), "price_says": said}

    def _quoted(self, terms: Terms, units: int) -> Quote | None:
        with self._store.reading_rows() as session:
            return quote(session, terms, units, self._now())
