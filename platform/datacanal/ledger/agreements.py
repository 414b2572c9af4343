"""What a subscription is agreed to: the tariff it is under, its unit, its quotas and its burst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.metering_errors import TariffNeeded, UnknownTariff
from datacanal.domain.usage import Burst, Dimension, Period, Quota
from datacanal.ledger.models import TariffRow
from datacanal.protocol.money import Tariff, TariffBurst, TariffQuota


@dataclass(frozen=True, slots=True)
class Agreement:
    """`approval`: whether the publisher is asked first; None where no tariff says so."""

    tariff: str | None = None
    unit: Dimension = Dimension.ROWS
    quotas: tuple[Quota, ...] = ()
    burst: Burst | None = None
    approval: bool | None = None


def offered(session: Session, tenant: str, product: str, tariff: str | None) -> Agreement:
    """What the product is offered under: the tariff of that id or name, else the only one, else none.

    An unlisted tariff is found by its id alone. Raises `UnknownTariff`, and `TariffNeeded` where there are several.
    """
    standing = select(TariffRow).where(
        TariffRow.tenant == tenant, TariffRow.product == product, TariffRow.withdrawn_at.is_(None)
    )
    tariffs = {row.id: Tariff.model_validate_json(row.document) for row in session.scalars(standing)}
    listed = {number: each for number, each in tariffs.items() if each.visibility == "listed"}
    if tariff is not None:
        named = {number: each for number, each in listed.items() if each.name == tariff}
        listed = {tariff: tariffs[tariff]} if tariff in tariffs else named
        if not listed:
            raise UnknownTariff(tariff=tariff, product=product)
    if len(listed) > 1:
        raise TariffNeeded(product=product, tariffs=", ".join(sorted(each.name for each in listed.values())))
    return next((_agreed(number, each) for number, each in listed.items()), Agreement())


def quotas_of(quotas: Sequence[TariffQuota]) -> tuple[Quota, ...]:
    """The quotas that a document says."""
    return tuple(Quota(Dimension(each.dimension), each.amount, Period(each.period), each.soft) for each in quotas)


def burst_of(burst: TariffBurst | None) -> Burst | None:
    """The burst that a document says."""
    return None if burst is None else Burst(burst.calls, burst.window_s)


def _agreed(number: str, tariff: Tariff) -> Agreement:
    return Agreement(number, Dimension(tariff.unit), quotas_of(tariff.quotas), burst_of(tariff.burst), tariff.approval)
