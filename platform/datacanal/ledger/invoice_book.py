"""Invoices as they are asked for: by their accounts, by the publishers that they are of, by admins."""

from __future__ import annotations

from sqlalchemy import Select, and_, false, or_, select
from sqlalchemy.orm import Session

from datacanal.domain.errors import Forbidden, NotFound, WrongState
from datacanal.domain.months import Month
from datacanal.ledger.asking import Asker, Made, Slice, checked_id, not_found, own_account, sliced
from datacanal.ledger.invoice_receipts import receipts_of
from datacanal.ledger.invoices import close_period, credit, invoice_in, previews
from datacanal.ledger.models import AccountRow, InvoiceRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.usages import account_asked
from datacanal.protocol.money import Invoice, InvoiceReceipts


class Invoices:
    """Every method acts for an asker, in one transaction."""

    def __init__(self, store: LedgerStore, made: Made) -> None:
        self._store = store
        self._made = made

    def list_slice(self, asker: Asker, month: Month | None, part: Slice) -> tuple[list[Invoice], bool]:
        """Invoices and credit notes, the newest first; and whether there are more."""
        found = _known(asker)
        if month is not None:
            found = found.where(InvoiceRow.start == month.start)
        with self._store.reading_rows() as session:
            rows, more = sliced(session, found, InvoiceRow.id, part)
            return [invoice_in(row) for row in rows], more

    def show(self, asker: Asker, invoice: str) -> Invoice:
        """One of them, by its id. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            return invoice_in(_found(session, asker, invoice))

    def preview(self, asker: Asker, account: str | None, month: Month) -> list[Invoice]:
        """What invoices of the account (the asker's own where none is named) would say by now. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            row = account_asked(session, asker, account)
            return [] if row is None else previews(session, row.id, month)

    def receipts(self, asker: Asker, invoice: str, line: int, after: int, limit: int) -> InvoiceReceipts:
        """The events of a line. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            row = _found(session, asker, invoice)
            lines = {each.number: each for each in invoice_in(row).lines}
            if line not in lines:
                raise NotFound(what="line", name=f"{line} of the invoice {invoice_in(row).number}")
            return receipts_of(session, row, lines[line], after, limit)

    def close(self, asker: Asker, month: Month) -> list[Invoice]:
        """Close the month, and give the tenant's invoices for it. Raises `PeriodOpen`."""
        issued = select(InvoiceRow).where(
            InvoiceRow.tenant == asker.principal.tenant,
            InvoiceRow.start == month.start,
            InvoiceRow.kind == "invoice",
        )
        with self._store.writing_rows() as session:
            close_period(session, month, self._made.now(), self._made.new_id)
            return [invoice_in(row) for row in session.scalars(issued.order_by(InvoiceRow.number))]

    def credit(self, asker: Asker, invoice: str, reason: str) -> Invoice:
        """A credit note of what was corrected since. Raises `NotFound`, `Forbidden`, `NothingToCredit`."""
        with self._store.writing_rows() as session:
            row = _found(session, asker, invoice)
            if not (asker.is_admin or row.seller == asker.principal.name):
                action = f"credit the invoice {row.number}, which is {row.seller}'s"
                raise Forbidden(role=asker.principal.role, action=action, allowed="admin")
            if row.kind != "invoice":
                hint = "Credit the invoice that it corrects."
                raise WrongState(what=row.number, state="a credit note", action="be credited", hint=hint)
            return credit(session, row, reason, self._made.now(), self._made.new_id)


def _known(asker: Asker) -> Select[InvoiceRow]:
    """An invoice is its account's, its seller's and the tenant's admins'; by a key its account's alone."""
    sold = InvoiceRow.seller == asker.principal.name if asker.owned else false()
    mine = or_(own_account(asker), and_(InvoiceRow.tenant == asker.principal.tenant, sold))
    return select(InvoiceRow).join(AccountRow, AccountRow.id == InvoiceRow.account_id).where(mine)


def _found(session: Session, asker: Asker, invoice: str) -> InvoiceRow:
    row = session.scalars(_known(asker).where(InvoiceRow.id == checked_id("invoice", invoice))).one_or_none()
    if row is None:
        raise not_found("invoice", invoice)
    return row
