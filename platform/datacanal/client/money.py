"""Tariffs, usage and invoices at a gateway: `Client.tariffs`, `Client.invoices` and `Client.usage`."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from datacanal.client.connection import Connection
from datacanal.client.requests import checked
from datacanal.protocol.money import (
    CloseRequest,
    CreditRequest,
    Invoice,
    InvoiceList,
    InvoiceReceipt,
    InvoiceReceipts,
    Margin,
    Tariff,
    TariffList,
    TariffView,
    Usage,
)


class Tariffs:
    """What a product is offered at; every method raises the gateway's problem as an error of the tree."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, product: str, tariff: Tariff) -> TariffView:
        """Offer it from now on, as the product's publisher."""
        return self._connection.post(TariffView, _of_product(product, "tariffs"), tariff, repeatable=False)

    def list_all(self, product: str) -> list[TariffView]:
        """Those that can be subscribed to; to the publisher also withdrawn and unlisted ones."""
        return self._connection.get(TariffList, _of_product(product, "tariffs")).tariffs

    def withdraw(self, product: str, tariff: str) -> TariffView:
        """No new subscriptions to it, by its id or its name."""
        path = f"{_of_product(product, 'tariffs')}/{quote(tariff, safe='')}"
        return TariffView.model_validate_json(self._connection.call("DELETE", path).content)


class Invoices:
    """As `Tariffs`. Where an id is asked for, the number of an invoice that the caller sees does as well."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list_all(self, *, period: str | None = None) -> list[Invoice]:
        """Invoices and credit notes of the caller, and of the products that it publishes; the newest first."""
        found: list[Invoice] = []
        path: str | None = _filtered("/v1/invoices", period=period)
        while path is not None:
            part = self._connection.get(InvoiceList, path)
            found += part.invoices
            path = part.next
        return found

    def show(self, invoice: str) -> Invoice:
        """One of them."""
        return self._connection.get(Invoice, self._path(invoice))

    def preview(self, *, period: str | None = None, account: str | None = None) -> list[Invoice]:
        """What the invoices of a month (this one) would say by now."""
        path = _filtered("/v1/invoices/preview", period=period, account=account)
        return self._connection.get(InvoiceList, path).invoices

    def export(self, invoice: str, media: str) -> bytes:
        """The invoice as `application/json`, `text/csv` or `text/html`."""
        return self._connection.call("GET", self._path(invoice), headers={"Accept": media}).content

    def receipts(self, invoice: str, line: int) -> list[InvoiceReceipt]:
        """Every event that a line is made of."""
        found: list[InvoiceReceipt] = []
        after: int | None = 0
        path = f"{self._path(invoice)}/lines/{line}/receipts"
        while after is not None:
            part = self._connection.get(InvoiceReceipts, path, {"after": str(after), "limit": "1000"})
            found += part.receipts
            after = part.next
        return found

    def close(self, period: str) -> list[Invoice]:
        """Issue the invoices of a month that is over, as an administrator; twice changes nothing."""
        request = checked(CloseRequest, period=period)
        return self._connection.post(InvoiceList, "/v1/invoices/close", request).invoices

    def credit(self, invoice: str, reason: str) -> Invoice:
        """A credit note of what was corrected since, as the seller."""
        request = checked(CreditRequest, reason=reason)
        return self._connection.post(Invoice, f"{self._path(invoice)}/credit-notes", request, repeatable=False)

    def _path(self, invoice: str) -> str:
        if "-" in invoice:
            invoice = next((each.id for each in self.list_all() if each.number == invoice), invoice)
        return f"/v1/invoices/{quote(invoice, safe='')}"


class Usages:
    """As `Tariffs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def own(self, *, period: str | None = None, product: str | None = None, group_by: str = "product") -> Usage:
        """What the caller's account used in a month (this one), by day, product, subscription or key."""
        return self._connection.get(Usage, _filtered("/v1/usage", period=period, product=product, group_by=group_by))

    def of_product(self, product: str, *, period: str | None = None, group_by: str = "day") -> Usage:
        """What all readers of a product used, for its publisher."""
        return self._connection.get(Usage, _filtered(_of_product(product, "usage"), period=period, group_by=group_by))

    def margin(self, product: str, *, period: str | None = None) -> Margin:
        """What a product earns against what its jobs cost, for its publisher."""
        return self._connection.get(Margin, _filtered(_of_product(product, "margin"), period=period))


def _of_product(product: str, what: str) -> str:
    return f"/v1/products/{quote(product, safe='')}/{what}"


def _filtered(path: str, **given: str | None) -> str:
    filters = {name: value for name, value in given.items() if value is not None}
    return f"{path}?{urlencode(filters)}" if filters else path
