"""What was used in a month, by day, product, subscription or key, and what it comes to so far: counted from events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from datacanal.domain.money import money_text
from datacanal.domain.months import Month
from datacanal.ledger.counting import NOTHING, Span, Sum, Whose, adjusted, used
from datacanal.ledger.invoicing import Counted, Priced, amount_due
from datacanal.ledger.monthly import monthly
from datacanal.protocol.money import Money, Usage, UsageLine

GroupBy = Literal["day", "product", "subscription", "key"]
_COLUMNS = {"product": ("product",), "subscription": ("subscription_id", "product"), "key": ("key_id", "product")}
_WITHOUT = {"product": "", "subscription": "internal", "key": "token"}
"""What stands for no product, no subscription (an internal reader) and no key (a token)."""


@dataclass(frozen=True)
class Meant:
    """The events that are meant, and the subscriptions whose money is."""

    whose: Whose
    subscriptions: tuple[ColumnElement[bool], ...]


def usage_report(session: Session, meant: Meant, month: Month, group_by: GroupBy, last: int) -> Usage:
    """The report, of the events up to that number."""
    span = Span(month.start, month.end, last)
    priced = monthly(session, meant.subscriptions, meant.whose, month, last)
    lines = _by_day(session, meant, span) if group_by == "day" else _grouped(session, meant, span, group_by, priced)
    return Usage(
        period=month.name,
        group_by=group_by,
        lines=[_line(*each) for each in sorted(lines, key=lambda each: (each[0], each[1] or ""))],
        total=_line("total", None, sum((each[2] for each in lines), NOTHING), None),
        money=_money(priced),
    )


_Line = tuple[str, str | None, Sum, list[Money] | None]
_Group = tuple[str | None, ...]


def _by_day(session: Session, meant: Meant, span: Span) -> list[_Line]:
    lines: list[_Line] = []
    start = span.start
    while start < span.end:
        day = Span(start, start + timedelta(days=1), span.last)
        found = _sums(session, (), meant, day).get((), NOTHING)
        if found != NOTHING:
            lines.append((f"{start:%Y-%m-%d}", None, found, None))
        start = day.end
    return lines


def _grouped(
    session: Session, meant: Meant, span: Span, group_by: GroupBy, priced: Mapping[Priced, Counted]
) -> list[_Line]:
    lines: list[_Line] = []
    sums = _sums(session, _COLUMNS[group_by], meant, span)
    for group in {**_due_without_use(group_by, priced), **sums}:
        key, product = group[0] or _WITHOUT[group_by], group[-1]
        lines.append((key, product, sums.get(group, NOTHING), _money_of(group_by, key, priced)))
    return lines


def _due_without_use(group_by: GroupBy, priced: Mapping[Priced, Counted]) -> dict[_Group, None]:
    """The groups of what is to be paid for, so that the lines' money adds up to the total."""
    due = [each for each, counted in priced.items() if amount_due(each, counted)]
    match group_by:
        case "product":
            return {(each.product,): None for each in due}
        case "subscription":
            return {(each.subscription, each.product): None for each in due}
    return {}


def _sums(session: Session, by: tuple[str, ...], meant: Meant, span: Span) -> dict[tuple[str | None, ...], Sum]:
    connection = session.connection()
    found = used(connection, by, meant.whose, span)
    for group, correction in adjusted(connection, by, meant.whose, span).items():
        found[group] = found.get(group, NOTHING) + correction
    return found


def _money_of(group_by: GroupBy, key: str, priced: Mapping[Priced, Counted]) -> list[Money] | None:
    """None where a month's tiers cannot be split."""
    match group_by:
        case "product":
            return _money({each: counted for each, counted in priced.items() if each.product == key})
        case "subscription":
            return _money({each: counted for each, counted in priced.items() if each.subscription == key})
    return None


def _money(priced: Mapping[Priced, Counted]) -> list[Money]:
    due = dues(priced)
    return [Money(currency=each, amount=money_text(due[each], each)) for each in sorted(due)]


def dues(priced: Mapping[Priced, Counted]) -> dict[str, int]:
    """What the subscriptions come to by currency, in its smallest unit."""
    due: Counter[str] = Counter()
    for each, counted in priced.items():
        due[each.prices.currency] += amount_due(each, counted)
    return dict(due)


def _line(key: str, product: str | None, found: Sum, money: Iterable[Money] | None) -> UsageLine:
    return UsageLine(
        key=key,
        product=product,
        calls=found.amounts.calls,
        rows=found.amounts.rows,
        bytes=found.amounts.bytes,
        compute_ms=found.amounts.compute_ms,
        units=found.units,
        money=None if money is None else list(money),
    )
