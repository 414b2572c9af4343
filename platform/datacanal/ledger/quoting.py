"""What a call would cost now: the month with it, less the month without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from datacanal.domain.money import money_text
from datacanal.domain.months import month_of
from datacanal.domain.usage import Terms
from datacanal.ledger.counting import Sum, of_account, of_subscription
from datacanal.ledger.invoices import book_of
from datacanal.ledger.invoicing import Counted, amount_due
from datacanal.ledger.models import SubscriptionRow
from datacanal.ledger.monthly import monthly
from datacanal.protocol.money import Money


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of the next units of a subscription, of which `so_far` were used this month."""

    money: Money
    so_far: int


def quote(session: Session, terms: Terms, units: int, now: datetime) -> Quote | None:
    """None where the terms' subscription has no tariff, or there is none."""
    if terms.subscription is None or terms.tariff is None:
        return None
    whose = (*of_account(terms.tenant, terms.account), *of_subscription(terms.subscription))
    meant = [SubscriptionRow.id == terms.subscription]
    for priced, counted in monthly(session, meant, whose, month_of(now), book_of(session).seq).items():
        if priced.tariff == terms.tariff:
            due = amount_due(priced, _with(counted, units)) - amount_due(priced, counted)
            currency = priced.prices.currency
            return Quote(Money(currency=currency, amount=money_text(due, currency)), counted.units)
    return None


def _with(counted: Counted, units: int) -> Counted:
    return replace(counted, used=counted.used + Sum(units=units))
