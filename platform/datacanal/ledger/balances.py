"""What of a subscription's quotas is used, held and left in the periods that are open now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from datacanal.domain.usage import Quota, Terms, period_end, period_start
from datacanal.ledger.models import MeterRow


@dataclass(frozen=True, slots=True)
class Balance:
    """One quota; `left` is never below 0."""

    quota: Quota
    used: int
    held: int
    left: int
    resets_at: datetime


def balances(connection: Connection, terms: Terms, now: datetime) -> tuple[Balance, ...]:
    """One for each quota, in their order."""
    starts = {each.period.value: period_start(now, each.period) for each in terms.quotas}
    if not starts:
        return ()
    columns = MeterRow.dimension, MeterRow.period, MeterRow.start, MeterRow.used, MeterRow.held
    rows = connection.execute(
        select(*columns).where(MeterRow.subscription_id == terms.subscription, MeterRow.start.in_(set(starts.values())))
    )
    taken = {(row.dimension, row.period): (row.used, row.held) for row in rows if starts.get(row.period) == row.start}
    return tuple(
        _balance(each, *taken.get((each.dimension.value, each.period.value), (0, 0)), now) for each in terms.quotas
    )


def _balance(quota: Quota, used: int, held: int, now: datetime) -> Balance:
    resets_at = period_end(period_start(now, quota.period), quota.period)
    return Balance(quota, used, held, max(0, quota.amount - used - held), resets_at)
