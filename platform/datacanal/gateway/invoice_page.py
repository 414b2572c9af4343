"""An invoice as a page to be printed: one document, A4, with nothing from elsewhere."""

from __future__ import annotations

from datetime import timedelta
from html import escape

from datacanal.protocol.money import Invoice, InvoiceLine

_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 178mm; padding: 12mm 0; color: #1b1f24; background: #fff;
  font: 10pt/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { margin: 0; font-size: 19pt; font-weight: 600; letter-spacing: -.01em; }
header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: 1.5pt solid #1b1f24;
  padding-bottom: 4mm; }
header p { margin: 0; font-size: 11pt; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(4, 1fr); gap: 5mm; margin: 7mm 0 9mm; }
dt { color: #5b6470; font-size: 8pt; }
dd { margin: 0; overflow-wrap: anywhere; }
dd small { display: block; color: #5b6470; font-size: 8pt; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 8pt; color: #5b6470; border-bottom: .75pt solid #1b1f24; }
th, td { padding: 1.6mm 0 1.6mm 3mm; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
td { border-bottom: .5pt solid #d5dae0; }
td small { display: block; color: #5b6470; font-size: 8pt; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
tr { break-inside: avoid; }
tbody.product tr:first-child th { padding-top: 5mm; color: #1b1f24; font-size: 10pt;
  border-bottom: .5pt solid #d5dae0; }
.total td { border: 0; border-top: 1.5pt solid #1b1f24; font-size: 12pt; font-weight: 600; padding-top: 3mm; }
footer { margin-top: 12mm; padding-top: 3mm; border-top: .5pt solid #d5dae0; color: #5b6470; font-size: 8pt; }
code { font-family: ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media screen { body { padding: 12mm 6mm; } }
@media print { body { padding: 0; max-width: none; } }
"""
_TITLES = {"invoice": "Invoice", "credit_note": "Credit note"}


def invoice_page(invoice: Invoice) -> str:
    """The page, whole."""
    title = f"{_TITLES[invoice.kind]} {invoice.number}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header><h1>{_TITLES[invoice.kind]}</h1>"
        f"<p>{escape(invoice.number)}</p></header>\n{_facts(invoice)}\n{_table(invoice)}\n{_footer(invoice)}\n"
        "</body>\n</html>\n"
    )


def _facts(invoice: Invoice) -> str:
    last_day = invoice.end - timedelta(days=1)
    issued = f"{invoice.issued_at:%Y-%m-%d}" if invoice.issued_at else "not issued"
    facts = [
        ("From", escape(invoice.seller)),
        ("To", f"{escape(invoice.account.name)}<small>{escape(invoice.account.id)}</small>"),
        ("Period", f"{invoice.start:%Y-%m-%d} to {last_day:%Y-%m-%d}<small>whole days in UTC</small>"),
        ("Issued", issued),
    ]
    if invoice.corrects is not None:
        facts += [("Corrects", escape(invoice.corrects)), ("Reason", escape(invoice.reason or ""))]
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts) + "</dl>"


def _table(invoice: Invoice) -> str:
    heading = '<th>Item</th><th class="number">Quantity</th><th class="number">Price</th>'
    heading += f'<th class="number">Amount, {escape(invoice.currency)}</th>'
    products = dict.fromkeys(line.product for line in invoice.lines)
    bodies = "".join(_body(invoice, product) for product in products)
    total = f'<td colspan="3">Total</td><td class="number">{escape(invoice.currency)} {grouped(invoice.total)}</td>'
    return f'<table><thead><tr>{heading}</tr></thead>{bodies}<tbody><tr class="total">{total}</tr></tbody></table>'


def _body(invoice: Invoice, product: str) -> str:
    rows = "".join(_row(line) for line in invoice.lines if line.product == product)
    return f'<tbody class="product"><tr><th colspan="4">{escape(product)}</th></tr>{rows}</tbody>'


def _row(line: InvoiceLine) -> str:
    made_of = f" · {line.receipts:,} receipt{'' if line.receipts == 1 else 's'}" if line.receipts else ""
    price = "" if line.price is None else escape(grouped(line.price) + (f" per {line.per:,}" if line.per > 1 else ""))
    text = escape(line.text[:1].upper() + line.text[1:])
    cells = (
        f"<td>{text}<small>line {line.number} · {escape(line.subscription)}{made_of}</small></td>",
        f'<td class="number">{line.units:,}</td>',
        f'<td class="number">{price}</td>',
        f'<td class="number">{grouped(line.amount)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _footer(invoice: Invoice) -> str:
    return (
        f"<footer><p>Counts the first {invoice.book.events:,} events of the usage ledger, whose chain ends in "
        f"<code>{escape(invoice.book.head)}</code>.</p><p>To verify: <code>GET /v1/invoices/{escape(invoice.id)}"
        "/lines/{line}/receipts</code> lists the receipts of each line, <code>GET /v1/receipts/{receipt}</code> gives "
        "each with its signed checkpoint, and <code>datacanal ledger verify</code> recounts the ledger.</p></footer>"
    )


def grouped(amount: str) -> str:
    """`1234567.50` as `1,234,567.50`."""
    whole, point, rest = amount.partition(".")
    sign = "−" if whole.startswith("-") else ""  # a true minus sign, as wide as the digits
    return f"{sign}{int(whole.lstrip('-')):,}{point}{rest}"
