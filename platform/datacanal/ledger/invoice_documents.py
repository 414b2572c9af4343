"""Invoices as documents: what a person reads, and what is kept as it was issued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy.orm import Session

from datacanal.domain.money import money_text
from datacanal.domain.months import Month
from datacanal.domain.tariff import Item
from datacanal.ledger.invoicing import BilledLine, Party, amount_of
from datacanal.ledger.models import AccountRow, BookRow, TariffRow
from datacanal.ledger.tariffs import tariff_in
from datacanal.protocol.money import BookEnd, Invoice, InvoiceLine
from datacanal.protocol.money import Party as AccountParty

PREVIEW = "preview"
_UNITS = {"calls": "calls", "rows": "rows", "bytes": "bytes", "compute_ms": "ms of computing"}
_TEXTS = {
    Item.FLAT: "flat fee of the month",
    Item.INCLUDED: "{units}, included in the flat fee",
    Item.UNITS: "{units}",
    Item.CREDIT: "{units}, given back",
    Item.MINIMUM: "up to the least amount of a month",
    Item.ADJUSTMENT: "corrections of {units}",
}
_WITHOUT_PRICE = (Item.INCLUDED, Item.ADJUSTMENT)


@dataclass(frozen=True)
class Drafts:
    """Makes documents of a month, which count the book as it is."""

    session: Session
    month: Month
    book: BookRow

    def draft(self, party: Party, lines: Sequence[BilledLine]) -> Invoice:
        """An invoice that is not issued."""
        account = self.session.get_one(AccountRow, party.account)
        return Invoice(
            id=PREVIEW,
            number=PREVIEW,
            kind="invoice",
            seller=party.seller,
            account=AccountParty(id=account.id, name=account.name),
            period=self.month.name,
            start=self.month.start,
            end=self.month.end,
            currency=party.currency,
            lines=[self._line(number, each) for number, each in enumerate(lines, 1)],
            total=money_text(amount_of(lines), party.currency),
            book=BookEnd(events=self.book.seq, head=self.book.head),
            issued_at=None,
        )

    def _line(self, number: int, billed: BilledLine) -> InvoiceLine:
        line, tariff = billed.line, tariff_in(self.session.get_one(TariffRow, billed.priced.tariff))
        return InvoiceLine(
            number=number,
            subscription=billed.priced.subscription,
            product=billed.priced.product,
            tariff=billed.priced.tariff,
            item=line.item.value,
            text=_TEXTS[line.item].format(units=_UNITS[tariff.unit]),
            unit=tariff.unit,
            units=line.units,
            price=None if line.item in _WITHOUT_PRICE else price_text(line.price),
            per=tariff.per if line.item in (Item.UNITS, Item.CREDIT) else 1,
            amount=money_text(line.amount, tariff.currency),
            receipts=billed.receipts,
        )


def price_text(price: Fraction) -> str:
    """A price of at most 12 digits after the point, without those that say nothing."""
    whole, rest = divmod(price.numerator * 10**12 // price.denominator, 10**12)
    return f"{whole}.{rest:012d}".rstrip("0").removesuffix(".")
