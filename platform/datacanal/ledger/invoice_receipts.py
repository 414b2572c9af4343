"""The events that a line of an invoice is made of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.tariff import Item
from datacanal.ledger.counting import Span, adjustments, of_account, usages
from datacanal.ledger.invoices import counted_by, invoice_in
from datacanal.ledger.models import EventRow, InvoiceRow
from datacanal.protocol.money import Invoice, InvoiceLine, InvoiceReceipt, InvoiceReceipts

_EVENTS = EventRow.__table__
_OF_CALLS = (Item.INCLUDED, Item.UNITS)
_TOLD = ("id", "seq", "at", "kind", "calls", "rows", "bytes", "compute_ms", "units", "corrects", "hash")


def receipts_of(session: Session, row: InvoiceRow, line: InvoiceLine, after: int, limit: int) -> InvoiceReceipts:
    """So many of them, in the order of the book, after the event of that number."""
    found = _events(session, row, line)
    if found is None:
        return InvoiceReceipts(receipts=[], next=None)
    part = found.where(_EVENTS.c.seq > after).order_by(_EVENTS.c.seq).limit(limit + 1)
    rows = session.execute(part).mappings().all()
    shown = [_told(dict(each)) for each in rows[:limit]]
    return InvoiceReceipts(receipts=shown, next=shown[-1].seq if len(rows) > limit else None)


def _events(session: Session, row: InvoiceRow, line: InvoiceLine) -> Any:
    """The query of them; None where a line is of no events, as a flat fee."""
    invoice = invoice_in(row)
    whose = (
        *of_account(row.tenant, row.account_id),
        _EVENTS.c.subscription_id == line.subscription,
        _EVENTS.c.tariff_id == line.tariff,
    )
    span, what = Span(invoice.start, invoice.end, invoice.book.events), [_EVENTS.c[name] for name in _TOLD]
    item = Item(line.item)
    if item in _OF_CALLS:
        return usages(what, whose, span)
    if item is Item.ADJUSTMENT:
        return adjustments(what, whose, span).where(_EVENTS.c.seq > _counted_before(session, row, invoice))
    return None


def _counted_before(session: Session, row: InvoiceRow, document: Invoice) -> int:
    """Which events the documents before a credit note counted."""
    if document.kind == "invoice":
        return 0
    corrected = select(InvoiceRow).where(InvoiceRow.id == row.corrects)
    return counted_by(session, session.scalars(corrected).one(), row)


def _told(event: dict[str, Any]) -> InvoiceReceipt:
    return InvoiceReceipt(receipt=event.pop("id"), **event)
