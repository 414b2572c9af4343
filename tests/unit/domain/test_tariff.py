"""What units cost, by examples worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from datacanal.domain.money import CURRENCIES, Rounding, money_text, rounded_minor
from datacanal.domain.tariff import Counting, Item, Prices, Tier, price, total


def one_price(text: str, currency: str = "CNY", **more: object) -> Prices:
    return Prices(currency, (Tier(None, Fraction(text)),), **more)  # type: ignore[arg-type]  # tests name the fields


TIERS = (Tier(1000, Fraction("0.10")), Tier(10_000, Fraction("0.05")), Tier(None, Fraction("0.01")))


def amounts(prices: Prices, units: int, *, is_active: bool = True) -> list[tuple[Item, int, int]]:
    return [(line.item, line.units, line.amount) for line in price(prices, units, is_active=is_active)]


def test_units_cost_their_price() -> None:
    assert amounts(one_price("0.002"), 12_345) == [(Item.UNITS, 12_345, 2469)]  # 24.69 CNY
    assert amounts(one_price("3", per=1000), 2500) == [(Item.UNITS, 2500, 750)]
    assert amounts(one_price("0.8", per=2**30), 3 * 2**29) == [(Item.UNITS, 3 * 2**29, 120)]  # 1.5 GiB


def test_the_flat_fee_is_due_in_months_in_which_the_subscription_was_there() -> None:
    prices = one_price("0.5", flat=Fraction("199"))
    assert amounts(prices, 0) == [(Item.FLAT, 1, 19_900)]
    assert amounts(prices, 3) == [(Item.FLAT, 1, 19_900), (Item.UNITS, 3, 150)]
    assert amounts(prices, 3, is_active=False) == [(Item.UNITS, 3, 150)]


def test_included_units_are_free_and_tiers_count_what_is_beyond() -> None:
    prices = Prices("CNY", TIERS, included=500)
    assert amounts(prices, 400) == [(Item.INCLUDED, 400, 0)]
    assert amounts(prices, 500) == [(Item.INCLUDED, 500, 0)]
    assert amounts(prices, 501) == [(Item.INCLUDED, 500, 0), (Item.UNITS, 1, 10)]
    assert amounts(prices, 1501) == [(Item.INCLUDED, 500, 0), (Item.UNITS, 1000, 10_000), (Item.UNITS, 1, 5)]


@pytest.mark.parametrize(
    ("units", "parts"),
    [
        (0, []),
        (1, [(1, 10)]),
        (1000, [(1000, 10_000)]),
        (1001, [(1000, 10_000), (1, 5)]),
        (10_000, [(1000, 10_000), (9000, 45_000)]),
        (12_500, [(1000, 10_000), (9000, 45_000), (2500, 2500)]),
    ],
)
def test_graduated_tiers_price_each_unit_by_its_tier(units: int, parts: list[tuple[int, int]]) -> None:
    assert [each[1:] for each in amounts(Prices("CNY", TIERS), units)] == parts


@pytest.mark.parametrize(("units", "due"), [(1000, 10_000), (1001, 5005), (10_000, 50_000), (10_001, 10_001)])
def test_a_volume_tier_prices_all_units_by_the_last_ones(units: int, due: int) -> None:
    assert amounts(Prices("CNY", TIERS, counting=Counting.VOLUME), units) == [(Item.UNITS, units, due)]


def test_units_below_zero_are_credited_at_the_first_price() -> None:
    prices = Prices("CNY", TIERS, included=500, flat=Fraction(20))
    assert amounts(prices, -2000) == [(Item.FLAT, 1, 2000), (Item.CREDIT, -2000, -20_000)]
    assert total(prices, -2000, is_active=False) == -20_000


def test_a_month_comes_to_the_minimum_at_least() -> None:
    prices = one_price("1", minimum=Fraction(50), flat=Fraction(10))
    assert amounts(prices, 5) == [(Item.FLAT, 1, 1000), (Item.UNITS, 5, 500), (Item.MINIMUM, 1, 3500)]
    assert total(prices, 40, is_active=True) == 5000
    assert total(prices, 41, is_active=True) == 5100
    assert total(prices, 5, is_active=False) == 500


HALVES = {
    Rounding.HALF_UP: (1, 2, 3, 0, 1),
    Rounding.HALF_EVEN: (0, 2, 2, 0, 1),
    Rounding.DOWN: (0, 1, 2, 0, 0),
    Rounding.UP: (1, 2, 3, 1, 1),
}


@pytest.mark.parametrize(("rounding", "expected"), HALVES.items())
def test_each_rounding_of_fen(rounding: Rounding, expected: tuple[int, ...]) -> None:
    fen = ("0.005", "0.015", "0.025", "0.004", "0.006")
    assert tuple(rounded_minor(Fraction(each), "CNY", rounding) for each in fen) == expected
    assert tuple(-rounded_minor(-Fraction(each), "CNY", rounding) for each in fen) == expected


def test_lines_are_rounded_one_by_one() -> None:
    prices = Prices("CNY", (Tier(1, Fraction("0.005")), Tier(None, Fraction("0.005"))))
    assert total(prices, 2, is_active=True) == 2  # not 1: each line says what it comes to


@pytest.mark.parametrize(
    ("currency", "due", "text"), [("CNY", 123_450, "1234.50"), ("JPY", 1235, "1235"), ("KWD", 1_234_500, "1234.500")]
)
def test_currencies_have_their_own_digits(currency: str, due: int, text: str) -> None:
    prices = one_price("1.2345", currency, per=1)
    assert total(prices, 1000, is_active=True) == due
    assert money_text(due, currency) == text
    assert money_text(-due, currency) == f"-{text}"


def test_the_largest_amounts_stay_exact() -> None:
    prices = one_price("999999999999.999999999999", "CLF")
    due = total(prices, 2**62, is_active=True)
    assert due == 2**62 * 10**16 - 46_116_860_184  # 2**62 * 10**-8 is 46116860184.27…
    assert money_text(due, "CLF") == "4611686018427387903999995388313.9816"


def test_the_table_of_currencies_is_that_of_the_standard() -> None:
    assert {code: CURRENCIES[code] for code in ("CNY", "HKD", "USD", "JPY", "KWD", "BHD", "CLF", "ISK")} == {
        "CNY": 2, "HKD": 2, "USD": 2, "JPY": 0, "KWD": 3, "BHD": 3, "CLF": 4, "ISK": 0,
    }  # fmt: skip
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
