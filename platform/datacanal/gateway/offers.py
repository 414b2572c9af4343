"""What products are offered at, for their documents."""

from __future__ import annotations

from typing import Any

from datacanal.ledger.directory import Directory
from datacanal.protocol.money import TariffView
from datacanal.protocol.tariff_text import price_line


class Offers:
    """Listed tariffs that are not withdrawn, as they are known."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def with_tariffs(self, tenant: str, product: dict[str, Any]) -> dict[str, Any]:
        """A product's document with its tariffs, whole."""
        return {**product, "tariffs": [_told(each) for each in self._directory.listed(tenant, product["name"])]}

    def with_prices(self, tenant: str, page: dict[str, Any]) -> dict[str, Any]:
        """A page of the catalogue with a line per tariff."""
        products = [{**each, "prices": self._prices(tenant, each["name"])} for each in page["products"]]
        return {**page, "products": products}

    def _prices(self, tenant: str, product: str) -> list[str]:
        return [price_line(each.tariff) for each in self._directory.listed(tenant, product)]


def _told(view: TariffView) -> dict[str, Any]:
    return {"id": view.id, "price_says": price_line(view.tariff), **view.tariff.model_dump(mode="json")}
