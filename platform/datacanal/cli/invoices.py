"""`datacanal invoice …`: look at invoices, put them into files, close months, issue credit notes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.text import visible
from datacanal.cli.usage import Period
from datacanal.client.download import atomic_file
from datacanal.domain.errors import BadField
from datacanal.domain.wording import counted
from datacanal.protocol.money import Invoice, InvoiceLine

_PREVIEW = "preview"
Number = Annotated[str, typer.Argument(metavar="INVOICE", help="Its number or its id.")]


class Format(StrEnum):
    """What an invoice can be put into a file as."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


_MEDIA = {Format.JSON: "application/json", Format.CSV: "text/csv", Format.HTML: "text/html"}


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Invoices and credit notes (DATACANAL_GATEWAY).", no_args_is_help=True)
    group.command("list")(list_invoices)
    group.command("show")(show)
    group.command("export")(export)
    group.command("close")(close)
    group.command("credit")(credit)
    app.add_typer(group, name="invoice")


def list_invoices(period: Period = None, as_json: AsJson = False) -> None:
    """Your invoices and credit notes, and those of the products that you publish."""
    with connect() as client:
        found = client.invoices.list_all(period=period)
    print_json(found) if as_json else _print_list(found)


def show(
    number: Annotated[str, typer.Argument(metavar="INVOICE", help='Its number or its id, or "preview".')],
    period: Period = None,
    as_json: AsJson = False,
) -> None:
    """An invoice with its lines; `preview`: what those of a month would say by now."""
    with connect() as client:
        found = client.invoices.preview(period=period) if number == _PREVIEW else [client.invoices.show(number)]
    if as_json:
        print_json(found) if number == _PREVIEW else print_json(found[0])
        return
    for each in found:
        _print(each)
    if not found:
        print("there would be no invoice: nothing was used and nothing is due", file=sys.stderr)


def export(
    number: Number,
    output: Annotated[Path, typer.Option("-o", "--output", help="Write to this file, all of it or nothing.")],
    asked: Annotated[Format | None, typer.Option("--format", help="Default: by the suffix of -o.")] = None,
) -> None:
    """Put an invoice into a file: JSON, CSV, or HTML, which is a page to be printed."""
    media = _MEDIA[asked or _format_of(output)]
    with connect() as client:
        content = client.invoices.export(number, media)
    with atomic_file(output) as file:
        file.write(content)


def close(
    period: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month (UTC) that is over.")],
    as_json: AsJson = False,
) -> None:
    """Close a month and those before it, and issue their invoices, as an administrator."""
    with connect() as client:
        found = client.invoices.close(period)
    if as_json:
        print_json(found)
        return
    _print_list(found)
    print(f"{period} is closed: {counted(len(found), 'invoice')}", file=sys.stderr)


def credit(
    number: Number,
    reason: Annotated[str, typer.Option("--reason", help="Stands on the credit note.")],
    as_json: AsJson = False,
) -> None:
    """Issue a credit note of what was corrected since, as the publisher."""
    with connect() as client:
        note = client.invoices.credit(number, reason)
    print_json(note) if as_json else _print(note)


def _format_of(output: Path) -> Format:
    suffix = output.suffix.lower().removeprefix(".")
    if suffix not in list(Format):
        raise BadField(field="-o", reason="its suffix is none of .json, .csv and .html; say --format")
    return Format(suffix)


def _print_list(found: list[Invoice]) -> None:
    rows = [
        [each.number, each.period, each.seller, each.account.name, f"{each.total} {each.currency}", each.corrects or ""]
        for each in found
    ]
    names = ["number", "period", "from", "to", "total", "corrects"]
    print_table(names, rows, right=[False, False, False, False, True])


def _print(invoice: Invoice) -> None:
    kind = "credit note" if invoice.kind == "credit_note" else "invoice"
    of = f" to {invoice.corrects}: {invoice.reason}" if invoice.corrects else ""
    print(visible(f"{kind} {invoice.number} of {invoice.period}{of}"))
    print(visible(f"from {invoice.seller} to {invoice.account.name} ({invoice.account.id})"))
    names = ["line", "product", "for", "quantity", "price", invoice.currency, "receipts"]
    rows = [_cells(line) for line in invoice.lines]
    rows.append(["total", "", "", "", "", invoice.total, ""])
    print_table(names, rows, right=[False, False, False, True, True, True, True])
    print(f"counts the first {invoice.book.events:,} events of the ledger, which end in {invoice.book.head}")


def _cells(line: InvoiceLine) -> list[str]:
    price = "" if line.price is None else line.price + (f" per {line.per:,}" if line.per > 1 else "")
    return [
        str(line.number), line.product, line.text, f"{line.units:,}", price, line.amount, f"{line.receipts:,}",
    ]  # fmt: skip
