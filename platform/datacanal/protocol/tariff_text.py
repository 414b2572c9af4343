"""Tariffs in a line."""

from __future__ import annotations

from datacanal.protocol.money import Tariff

_UNITS = {
    "calls": ("call", "calls"), "rows": ("row", "rows"), "bytes": ("byte", "bytes"),
    "compute_ms": ("ms of computing", "ms of computing"),
}  # fmt: skip


def price_line(tariff: Tariff) -> str:
    """What it costs: `100 CNY/month + 0.01 CNY per row, 50 included`; of tiers the first price and the last."""
    per = f"{tariff.per:,} " if tariff.per > 1 else ""
    ends = [tariff.price] if tariff.price is not None else [tier.price for tier in tariff.tiers or []]
    prices = " to ".join(dict.fromkeys(str(price) for price in (ends[0], ends[-1])))
    flat = f"{tariff.flat} {tariff.currency}/month + " if tariff.flat.strip("0.") else ""
    line = f"{flat}{prices} {tariff.currency} per {per}{_UNITS[tariff.unit][tariff.per > 1]}"
    return f"{line}, {tariff.included:,} included" if tariff.included else line
