"""Quotas and bursts as the book stores them: JSON, the same for everybody who writes or reads a subscription."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from datacanal.domain.usage import Burst, Dimension, Period, Quota, Terms
from datacanal.ledger.models import SubscriptionRow


def quotas_text(quotas: Sequence[Quota]) -> str:
    """What a subscription's `quotas` holds."""
    return json.dumps([asdict(each) for each in quotas])


def burst_text(burst: Burst | None) -> str | None:
    """What a subscription's `burst` holds."""
    return None if burst is None else json.dumps(asdict(burst))


def terms_of(row: SubscriptionRow) -> Terms:
    """What the calls of a subscription are held to."""
    return Terms(
        tenant=row.tenant,
        account=row.account_id,
        subscription=row.id,
        product=row.product,
        tariff=row.tariff_id,
        unit=Dimension(row.unit),
        quotas=tuple(_quota(**each) for each in json.loads(row.quotas)),
        burst=None if row.burst is None else Burst(**json.loads(row.burst)),
    )


def _quota(dimension: str, amount: int, period: str, soft: bool = False) -> Quota:
    return Quota(Dimension(dimension), amount, Period(period), soft)
