"""What products are offered at, for their documents: read from the book when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from datacanal.ledger.store import LedgerStore
from datacanal.ledger.tariffs import offered_of
from datacanal.protocol.money import TariffView
from datacanal.protocol.tariff_text import price_line


class Offers:
    """Listed tariffs that are not withdrawn."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    async def with_tariffs(self, tenant: str, product: dict[str, Any]) -> dict[str, Any]:
        """A product's document with its tariffs, whole."""
        found = await asyncio.to_thread(self._of, tenant, [product["name"]])
        return {**product, "tariffs": [_told(each) for each in found]}

    async def with_prices(self, tenant: str, page: dict[str, Any]) -> dict[str, Any]:
        """A page of the catalogue with a line per tariff."""
        found = await asyncio.to_thread(self._of, tenant, [each["name"] for each in page["products"]])
        lines: dict[str, list[str]] = {}
        for view in found:
            lines.setdefault(view.product, []).append(price_line(view.tariff))
        return {**page, "products": [{**each, "prices": lines.get(each["name"], [])} for each in page["products"]]}

    def _of(self, tenant: str, products: Sequence[str]) -> list[TariffView]:
        with self._store.reading_rows() as session:
            return offered_of(session, tenant, products)


def _told(view: TariffView) -> dict[str, Any]:
    return {"id": view.id, "price_says": price_line(view.tariff), **view.tariff.model_dump(mode="json")}
