"""A product's margin: what its subscriptions come to in a month, against what the jobs that made it used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.costs_section import CostsSection
from datacanal.domain.money import Rounding, money_text, rounded_minor
from datacanal.domain.months import Month
from datacanal.domain.usage import EventKind, job_request
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


@dataclass(frozen=True, slots=True)
class Made:
    """A product, and the jobs whose results were made its versions."""

    tenant: str
    product: str
    jobs: Collection[str]


def margin(session: Session, made: Made, month: Month, rates: Rates) -> Margin:
    """Of the book as it is; corrections count in the month of what they correct."""
    tenant, product = made.tenant, made.product
    book = book_of(session)
    subscribed = [SubscriptionRow.tenant == tenant, SubscriptionRow.product == product]
    earned = dues(monthly(session, subscribed, of_product(tenant, product), month, book.seq))
    costs, cost = _costs(session, made, month, rates)
    return Margin(
        product=product,
        period=month.name,
        currency=rates.currency,
        revenue=[Money(currency=each, amount=money_text(earned[each], each)) for each in sorted(earned)],
        costs=costs,
        margin=money_text(earned.get(rates.currency, 0) - cost, rates.currency),
        is_closed=book.closed_until >= month.end,
    )


def _costs(session: Session, made: Made, month: Month, rates: Rates) -> tuple[JobCosts, int]:
    jobs, scanned, crossed, worker_ms = _used(session, made, month)
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


def _used(session: Session, made: Made, month: Month) -> tuple[int, ...]:
    """How many jobs, bytes scanned, bytes crossed, worker time."""
    # When a job ends nobody knows yet what its result will be: its event names no product.
    of_jobs = (_EVENTS.c.tenant == made.tenant, _EVENTS.c.product.is_(None), _EVENTS.c.kind == EventKind.JOB)
    in_month = (_EVENTS.c.at >= month.start, _EVENTS.c.at < month.end)
    its_own = _EVENTS.c.request_id.in_([job_request(job) for job in made.jobs])
    sums = select(*sum_halves(_USED)).where(*of_jobs, *in_month, its_own)
    return whole_sum(session.execute(sums).one())
