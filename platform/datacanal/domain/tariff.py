"""What units cost: flat fee, included units, tiers, minimum. Exact, and rounded once per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from datacanal.domain.money import Rounding, rounded_minor


class Counting(StrEnum):
    """`graduated`: each unit costs what its tier says. `volume`: all cost what the tier says that the last is in."""

    GRADUATED = "graduated"
    VOLUME = "volume"


class Item(StrEnum):
    """What a line of a price is for."""

    FLAT = "flat"
    INCLUDED = "included"
    UNITS = "units"
    CREDIT = "credit"
    MINIMUM = "minimum"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Tier:
    """Up to and with that many units of a month beyond the included ones; the last tier has no end."""

    up_to: int | None
    price: Fraction


@dataclass(frozen=True, slots=True)
class Prices:
    """A tariff's prices for a month, in `currency`; a tier's price is for `per` units."""

    currency: str
    tiers: tuple[Tier, ...]
    per: int = 1
    flat: Fraction = Fraction(0)
    included: int = 0
    minimum: Fraction = Fraction(0)
    counting: Counting = Counting.GRADUATED
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class PriceLine:
    """So many units at that price (per `Prices.per`) come to `amount` of the smallest unit of the currency."""

    item: Item
    units: int
    price: Fraction
    amount: int


def price(prices: Prices, units: int, *, is_active: bool) -> tuple[PriceLine, ...]:
    """The lines of a month of one subscription, which `is_active` says was there in it.

    Units below zero (corrections beyond what was used) are credited at the first tier's price, and neither included
    units nor tiers are counted backwards.
    """
    lines = [*_flat(prices, is_active), *(_used(prices, units) if units >= 0 else _credit(prices, units))]
    lines += _topping_up(prices, sum(line.amount for line in lines)) if is_active else []
    return tuple(lines)


def total(prices: Prices, units: int, *, is_active: bool) -> int:
    """What the lines add up to."""
    return sum(line.amount for line in price(prices, units, is_active=is_active))


def _flat(prices: Prices, is_active: bool) -> Iterator[PriceLine]:
    if is_active and prices.flat:
        yield PriceLine(Item.FLAT, 1, prices.flat, _rounded(prices, prices.flat))


def _used(prices: Prices, units: int) -> Iterator[PriceLine]:
    free = min(units, prices.included)
    if free:
        yield PriceLine(Item.INCLUDED, free, Fraction(0), 0)
    beyond = units - free
    parts = _graduated(prices, beyond) if prices.counting is Counting.GRADUATED else _volume(prices, beyond)
    for tier, part in parts:
        yield PriceLine(Item.UNITS, part, tier.price, _rounded(prices, part * tier.price / prices.per))


def _graduated(prices: Prices, units: int) -> Iterator[tuple[Tier, int]]:
    below = 0
    for tier in prices.tiers:
        part = (units if tier.up_to is None else min(units, tier.up_to)) - below
        if part <= 0:
            return
        yield tier, part
        below += part


def _volume(prices: Prices, units: int) -> Iterator[tuple[Tier, int]]:
    if units:
        yield next(tier for tier in prices.tiers if tier.up_to is None or units <= tier.up_to), units


def _credit(prices: Prices, units: int) -> Iterator[PriceLine]:
    first = prices.tiers[0].price
    yield PriceLine(Item.CREDIT, units, first, _rounded(prices, units * first / prices.per))


def _topping_up(prices: Prices, so_far: int) -> list[PriceLine]:
    missing = _rounded(prices, prices.minimum) - so_far
    return [PriceLine(Item.MINIMUM, 1, prices.minimum, missing)] if prices.minimum and missing > 0 else []


def _rounded(prices: Prices, amount: Fraction) -> int:
    return rounded_minor(amount, prices.currency, prices.rounding)
