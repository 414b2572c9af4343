"""What a month comes to: invoices and credit notes as projections of what was used and of what it costs.

The rule of corrections: an adjustment belongs to the month of the event that it corrects. That month's invoice counts
those that were in the book when it was issued, and credit notes the later ones, each once: a credit note is what the
month comes to by then, less what it came to by the document before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from datacanal.domain.tariff import Item, PriceLine, Prices, price, total
from datacanal.ledger.counting import NOTHING, Sum


@dataclass(frozen=True, slots=True)
class Agreement:
    """A subscription of an account at a tariff; `is_active`: at some time in the month."""

    subscription: str
    account: str
    seller: str
    product: str
    tariff: str
    prices: Prices
    is_active: bool

    @property
    def party(self) -> Party:
        """Which invoice its lines stand on."""
        return Party(self.account, self.seller, self.prices.currency)

    @property
    def rank(self) -> tuple[str, ...]:
        """Where its lines stand there."""
        return (self.product, self.subscription, self.tariff)


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """Who pays whom in which currency: one invoice a month."""

    account: str
    seller: str
    currency: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What an agreement was used for in a month, and what was corrected of that."""

    used: Sum = NOTHING
    adjusted: Sum = NOTHING

    @property
    def units(self) -> int:
        """What is paid for."""
        return self.used.units + self.adjusted.units


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line, of which agreement, and how many events it is made of."""

    agreement: Agreement
    line: PriceLine
    receipts: int


def bills(months: Mapping[Agreement, Counted]) -> dict[Party, tuple[BilledLine, ...]]:
    """The lines of every invoice of a month, by who pays whom; none where nothing was used and nothing is due."""
    found: dict[Party, list[BilledLine]] = {}
    for agreement in sorted(months, key=lambda each: each.rank):
        lines = list(_lines(agreement, months[agreement]))
        if lines:
            found.setdefault(agreement.party, []).extend(lines)
    return {party: tuple(found[party]) for party in sorted(found)}


def credited(before: Mapping[Agreement, Counted], now: Mapping[Agreement, Counted]) -> tuple[BilledLine, ...]:
    """The lines of a credit note: what corrections that came in between change."""
    return tuple(_correction(each, before.get(each, Counted()), now[each]) for each in _changed(before, now))


def amount_of(lines: Iterable[BilledLine]) -> int:
    """The total, in the smallest unit of the currency."""
    return sum(each.line.amount for each in lines)


def _lines(agreement: Agreement, month: Counted) -> Iterator[BilledLine]:
    prices = agreement.prices
    priced = price(prices, month.used.units, is_active=agreement.is_active)
    if month.used.receipts and not any(line.item in _OF_RECEIPTS for line in priced):
        priced = (PriceLine(Item.UNITS, 0, prices.tiers[0].price, 0), *priced)
    for line in priced:
        yield BilledLine(agreement, line, month.used.receipts if line.item in _OF_RECEIPTS else 0)
    if month.adjusted.receipts:
        yield _correction(agreement, Counted(month.used), month)


_OF_RECEIPTS = (Item.INCLUDED, Item.UNITS)


def _correction(agreement: Agreement, before: Counted, now: Counted) -> BilledLine:
    amount = amount_due(agreement, now) - amount_due(agreement, before)
    line = PriceLine(Item.ADJUSTMENT, now.units - before.units, Fraction(0), amount)
    return BilledLine(agreement, line, now.adjusted.receipts - before.adjusted.receipts)


def amount_due(agreement: Agreement, month: Counted) -> int:
    """What the month comes to, in the smallest unit of the currency."""
    return total(agreement.prices, month.units, is_active=agreement.is_active)


def _changed(before: Mapping[Agreement, Counted], now: Mapping[Agreement, Counted]) -> Sequence[Agreement]:
    changed = (each for each in now if now[each] != before.get(each, Counted()))
    return sorted(changed, key=lambda each: each.rank)
