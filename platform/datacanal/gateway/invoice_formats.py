"""An invoice as JSON, as CSV for spreadsheets, or as a page to be printed."""

from __future__ import annotations

import csv
import io

from starlette.responses import Response

from datacanal.gateway.invoice_page import invoice_page
from datacanal.gateway.negotiation import media_for
from datacanal.protocol.money import Invoice

JSON, CSV, HTML = "application/json", "text/csv", "text/html"
_COLUMNS = (
    "number", "kind", "period", "seller", "account", "line", "subscription", "product", "item", "text", "units", "unit",
    "price", "per", "amount", "currency", "receipts",
)  # fmt: skip
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_TEXTS = ("seller", "text")
_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"


def invoice_answer(invoice: Invoice, accept: str | None) -> Response:
    """The invoice in the format that the Accept header likes best. Raises `NotAcceptable`."""
    headers = {"Vary": "Accept"}
    match media_for(accept or "", (JSON, CSV, HTML)):
        case "text/csv":
            headers["Content-Disposition"] = f'attachment; filename="{invoice.number}.csv"'
            return Response(invoice_csv(invoice), headers=headers, media_type=CSV)
        case "text/html":
            headers["Content-Security-Policy"] = _NOTHING_FROM_ELSEWHERE
            return Response(invoice_page(invoice), headers=headers, media_type=HTML)
    return Response(invoice.model_dump_json(), headers=headers, media_type=JSON)


def invoice_csv(invoice: Invoice) -> str:
    """A row per line, under a heading; amounts add up to the total."""
    of_all = {**invoice.model_dump(include={"number", "kind", "period", "seller", "currency"})}
    of_all["account"] = invoice.account.id
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in invoice.lines:
        said = line.model_dump(exclude={"number", "tariff"})
        writer.writerow({name: _cell(name, value) for name, value in {**of_all, "line": line.number, **said}.items()})
    return out.getvalue()


def _cell(name: str, value: object) -> object:
    """Names that people chose are no formulas, whatever a spreadsheet thinks."""
    text = str(value)
    return f"'{text}" if name in _TEXTS and text.startswith(_FORMULAS) else value
