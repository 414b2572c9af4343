"""Money: whole numbers of a currency's smallest unit (分, cents, fils), and how a fraction becomes one."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
CURRENCIES = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}
"""Digits after the point by currency, as ISO 4217 has them."""


class Rounding(StrEnum):
    """Towards the nearest (`half_…` says where a half goes), towards nothing (`down`) or away from it (`up`)."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"
    UP = "up"


def rounded_minor(amount: Fraction, currency: str, rounding: Rounding) -> int:
    """The amount in the smallest unit of the currency. What is owed and what is credited are rounded alike."""
    size = abs(amount) * _smallest_units(currency)
    whole, rest = divmod(size.numerator, size.denominator)
    if _goes_up(whole, Fraction(rest, size.denominator), rounding):
        whole += 1
    return -whole if amount < 0 else whole


def _goes_up(whole: int, rest: Fraction, rounding: Rounding) -> bool:
    half = Fraction(1, 2)
    match rounding:
        case Rounding.HALF_UP:
            return rest >= half
        case Rounding.HALF_EVEN:
            return rest > half or (rest == half and whole % 2 == 1)
        case Rounding.UP:
            return rest > 0
    return False


def money_text(minor: int, currency: str) -> str:
    """`-12.30`: with all digits of the currency, exactly."""
    digits = CURRENCIES[currency]
    whole, rest = divmod(abs(minor), _smallest_units(currency))
    fraction = f".{rest:0{digits}d}" if digits else ""
    return f"{'-' if minor < 0 else ''}{whole}{fraction}"


def _smallest_units(currency: str) -> int:
    """How many of them one of the currency is."""
    return int(10 ** CURRENCIES[currency])
