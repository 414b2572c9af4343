"""Close periods and issue their invoices and credit notes: in one transaction, numbered without gaps, kept for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from datacanal.domain.metering_errors import NothingToCredit, PeriodOpen
from datacanal.domain.months import Month, month_of, months_between
from datacanal.ledger.counting import of_account, of_everybody
from datacanal.ledger.invoice_documents import Drafts
from datacanal.ledger.invoicing import Counted, Priced, bills, credited
from datacanal.ledger.models import AccountRow, BookRow, EventRow, InvoiceRow, SubscriptionRow
from datacanal.ledger.monthly import monthly
from datacanal.protocol.money import Invoice

NewId = Callable[[str], str]


def close_period(session: Session, month: Month, now: datetime, new_id: NewId) -> None:
    """Issue what the month and those before it come to; from then on no event can come into them.

    Of a month that is closed nothing changes. Raises `PeriodOpen`. Needs a writing session.
    """
    if month.end > now:
        raise PeriodOpen(period=month.name, ends_at=month.end.isoformat())
    book = book_of(session)
    for each in _open_months(session, book, month.end):
        _issue(session, each, book, now, new_id)
    book.closed_until = max(book.closed_until, month.end)


def previews(session: Session, account: str, month: Month) -> list[Invoice]:
    """What invoices of the account would say if the month were closed now; for a closed one, with later corrections."""
    book = book_of(session)
    drafts = Drafts(session, month, book)
    return [drafts.draft(*each) for each in bills(_counted(session, account, month, book.seq)).items()]


def credit(session: Session, row: InvoiceRow, reason: str, now: datetime, new_id: NewId) -> Invoice:
    """Issue a credit note of the corrections that neither the invoice nor its credit notes counted.

    Raises `NothingToCredit`. Needs a writing session.
    """
    invoice, book = invoice_in(row), book_of(session)
    month = month_of(invoice.start)
    before = _of_invoice(_counted(session, row.account_id, month, counted_by(session, row)), invoice)
    lines = credited(before, _of_invoice(_counted(session, row.account_id, month, book.seq), invoice))
    if not lines:
        raise NothingToCredit(invoice=invoice.number)
    draft = Drafts(session, month, book).draft(lines[0].priced.party, lines)
    note = draft.model_copy(update={"kind": "credit_note", "corrects": invoice.number, "reason": reason})
    return _issued(session, note, now, new_id, corrects=row.id)


def counted_by(session: Session, row: InvoiceRow, before: InvoiceRow | None = None) -> int:
    """How many events the invoice and its credit notes count; of the notes only those before the given one."""
    notes = select(InvoiceRow).where(InvoiceRow.corrects == row.id)
    earlier = [each for each in session.scalars(notes) if before is None or each.number < before.number]
    return max(invoice_in(each).book.events for each in [row, *earlier])


def invoice_in(row: InvoiceRow) -> Invoice:
    """The document as it was issued."""
    return Invoice.model_validate_json(row.document)


def book_of(session: Session) -> BookRow:
    """The end of the book."""
    return session.scalars(select(BookRow)).one()


def _issue(session: Session, month: Month, book: BookRow, now: datetime, new_id: NewId) -> None:
    """All invoices of the month, from one reading of its events."""
    whose = of_everybody(session.connection(), month.start, book.seq)
    drafts = Drafts(session, month, book)
    for party, lines in bills(monthly(session, [], whose, month, book.seq)).items():
        _issued(session, drafts.draft(party, lines), now, new_id)


def _counted(session: Session, account: str, month: Month, last: int) -> dict[Priced, Counted]:
    whose = of_account(session.get_one(AccountRow, account).tenant, account)
    return monthly(session, [SubscriptionRow.account_id == account], whose, month, last)


def _of_invoice(counted: dict[Priced, Counted], invoice: Invoice) -> dict[Priced, Counted]:
    wanted = (invoice.account.id, invoice.seller, invoice.currency)
    parties = {each: (each.party.account, each.party.seller, each.party.currency) for each in counted}
    return {each: count for each, count in counted.items() if parties[each] == wanted}


def _issued(session: Session, draft: Invoice, now: datetime, new_id: NewId, corrects: str | None = None) -> Invoice:
    account = session.get_one(AccountRow, draft.account.id)
    number = _number(session, draft, account.tenant, now)
    issued = draft.model_copy(update={"id": new_id("inv"), "number": number, "issued_at": now})
    session.add(
        InvoiceRow(
            id=issued.id, tenant=account.tenant, principal=account.principal, account_id=issued.account.id,
            seller=issued.seller, kind=issued.kind, number=number, start=issued.start, currency=issued.currency,
            corrects=corrects, document=issued.model_dump_json(), issued_at=now,
        )
    )  # fmt: skip
    session.flush()
    return issued


def _number(session: Session, draft: Invoice, tenant: str, now: datetime) -> str:
    """Invoices count by their month, credit notes by the month that they are issued in, both in every tenant anew."""
    prefix = f"INV-{draft.period}-" if draft.kind == "invoice" else f"CRN-{month_of(now).name}-"
    same = InvoiceRow.number.between(f"{prefix}000001", f"{prefix}999999")
    last = session.scalar(select(func.max(InvoiceRow.number)).where(InvoiceRow.tenant == tenant, same))
    return f"{prefix}{int((last or '0').removeprefix(prefix)) + 1:06d}"


def _open_months(session: Session, book: BookRow, end: datetime) -> Iterator[Month]:
    """The months before that end that are not closed, from the first one in which there was anything."""
    used = select(EventRow.at).order_by(EventRow.seq).limit(1)
    begins = (session.scalar(used), session.scalar(select(func.min(SubscriptionRow.decided_at))))
    first = min((at for at in begins if at is not None), default=end)
    return months_between(max(first.astimezone(UTC), book.closed_until), end)
