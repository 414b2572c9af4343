"""A product's margin: what its subscriptions come to in a month, against what the jobs that made it used."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.costs_section import CostsSection
from datacanal.domain.money import Rounding, money_text, rounded_minor
from datacanal.domain.months import Month
from datacanal.domain.usage import EventKind
from datacanal.ledger.counting import of_product, sum_halves, whole_sum
from datacanal.ledger.invoices import book_of
from datacanal.ledger.models import EventRow, SubscriptionRow
from datacanal.ledger.monthly import monthly
from datacanal.ledger.usage_report import dues
from datacanal.protocol.money import JobCosts, Margin, Money

_GIB = 2**30
_HOUR_MS = 3_600_000
_EVENTS = EventRow.__table__
_USED = ("scan_bytes", "egress_bytes", "worker_ms")


@dataclass(frozen=True, slots=True)
class Rates:
    """What jobs cost the service."""

    currency: str
    gib_scanned: Fraction
    gib_crossed: Fraction
    worker_hour: Fraction


def rates_of(costs: CostsSection) -> Rates:
    """The rates of a configuration file, exactly."""
    return Rates(costs.currency, Fraction(costs.gib_scanned), Fraction(costs.gib_crossed), Fraction(costs.worker_hour))


def margin(session: Session, tenant: str, product: str, month: Month, rates: Rates) -> Margin:
    """Of the book as it is; corrections count in the month of what they correct."""
    book = book_of(session)
    subscribed = [SubscriptionRow.tenant == tenant, SubscriptionRow.product == product]
    earned = dues(monthly(session, subscribed, of_product(tenant, product), month, book.seq))
    costs, cost = _costs(session, tenant, product, month, rates)
    return Margin(
        product=product,
        period=month.name,
        currency=rates.currency,
        revenue=[Money(currency=each, amount=money_text(earned[each], each)) for each in sorted(earned)],
        costs=costs,
        margin=money_text(earned.get(rates.currency, 0) - cost, rates.currency),
        is_closed=book.closed_until >= month.end,
    )


def _costs(session: Session, tenant: str, product: str, month: Month, rates: Rates) -> tuple[JobCosts, int]:
    jobs, scanned, crossed, worker_ms = _used(session, tenant, product, month)
    parts = (
        rates.gib_scanned * scanned / _GIB,
        rates.gib_crossed * crossed / _GIB,
        rates.worker_hour * worker_ms / _HOUR_MS,
    )
    scan, egress, workers = (rounded_minor(part, rates.currency, Rounding.HALF_UP) for part in parts)
    cost = scan + egress + workers
    said = {"scan": scan, "egress": egress, "workers": workers, "total": cost}
    texts = {name: money_text(minor, rates.currency) for name, minor in said.items()}
    return JobCosts(jobs=jobs, scan_bytes=scanned, egress_bytes=crossed, worker_ms=worker_ms, **texts), cost


def _used(session: Session, tenant: str, product: str, month: Month) -> tuple[int, ...]:
    """How many jobs, bytes scanned, bytes crossed, worker time."""
    of_jobs = (_EVENTS.c.kind == EventKind.JOB, _EVENTS.c.at >= month.start, _EVENTS.c.at < month.end)
    sums = select(*sum_halves(_USED)).where(*of_product(tenant, product), *of_jobs)
    return whole_sum(session.execute(sums).one())
