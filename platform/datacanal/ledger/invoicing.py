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
class Priced:
    """A subscription of an account at the prices of a tariff; `is_active`: at some time in the month."""

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
    """What a subscription was used for in a month, and what was corrected of that."""

    used: Sum = NOTHING
    adjusted: Sum = NOTHING

    @property
    def units(self) -> int:
        """What is paid for."""
        return self.used.units + self.adjusted.units


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line, of which subscription, and how many events it is made of."""

    priced: Priced
    line: PriceLine
    receipts: int


def bills(months: Mapping[Priced, Counted]) -> dict[Party, tuple[BilledLine, ...]]:
    """The lines of every invoice of a month, by who pays whom; none where nothing was used and nothing is due."""
    found: dict[Party, list[BilledLine]] = {}
    for priced in sorted(months, key=lambda each: each.rank):
        lines = list(_lines(priced, months[priced]))
        if lines:
            found.setdefault(priced.party, []).extend(lines)
    return {party: tuple(found[party]) for party in sorted(found)}


def credited(before: Mapping[Priced, Counted], now: Mapping[Priced, Counted]) -> tuple[BilledLine, ...]:
    """The lines of a credit note: what corrections that came in between change."""
    return tuple(_correction(each, before.get(each, Counted()), now[each]) for each in _changed(before, now))


def amount_of(lines: Iterable[BilledLine]) -> int:
    """The total, in the smallest unit of the currency."""
    return sum(each.line.amount for each in lines)


def _lines(priced: Priced, month: Counted) -> Iterator[BilledLine]:
    prices = priced.prices
    lines = price(prices, month.used.units, is_active=priced.is_active)
    if month.used.receipts and not any(line.item in _OF_RECEIPTS for line in lines):
        lines = (PriceLine(Item.UNITS, 0, prices.tiers[0].price, 0), *lines)
    for line in lines:
        yield BilledLine(priced, line, month.used.receipts if line.item in _OF_RECEIPTS else 0)
    if month.adjusted.receipts:
        yield _correction(priced, Counted(month.used), month)


_OF_RECEIPTS = (Item.INCLUDED, Item.UNITS)


def _correction(priced: Priced, before: Counted, now: Counted) -> BilledLine:
    amount = amount_due(priced, now) - amount_due(priced, before)
    line = PriceLine(Item.ADJUSTMENT, now.units - before.units, Fraction(0), amount)
    return BilledLine(priced, line, now.adjusted.receipts - before.adjusted.receipts)


def amount_due(priced: Priced, month: Counted) -> int:
    """What the month comes to, in the smallest unit of the currency."""
    return total(priced.prices, month.units, is_active=priced.is_active)


def _changed(before: Mapping[Priced, Counted], now: Mapping[Priced, Counted]) -> Sequence[Priced]:
    changed = (each for each in now if now[each] != before.get(each, Counted()))
    return sorted(changed, key=lambda each: each.rank)
