"""Tariffs in the book: added, listed, withdrawn; never changed, so that what was charged by one can be recounted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.metering_errors import BadTariff, UnknownTariff
from datacanal.domain.money import Rounding
from datacanal.domain.tariff import Counting, Prices, Tier
from datacanal.ledger.models import TariffRow
from datacanal.protocol.money import Tariff, TariffTier, TariffView


def add_tariff(session: Session, tenant: str, view: TariffView) -> TariffView:
    """Offer it from now on. Raises `BadTariff` where one of its name is offered already."""
    if any(each.name == view.tariff.name for each in _rows(session, tenant, view.product)):
        raise BadTariff(field="name", reason=f"{view.product} has a tariff of this name; withdraw it first")
    row = TariffRow(
        id=view.id, tenant=tenant, principal=view.seller, product=view.product, name=view.tariff.name,
        document=view.tariff.model_dump_json(), created_at=view.created_at, withdrawn_at=None,
    )  # fmt: skip
    session.add(row)
    return view


def tariffs_of(session: Session, tenant: str, product: str, *, every: bool = False) -> list[TariffView]:
    """Those that are offered, the oldest first; `every`: the withdrawn and the unlisted ones too."""
    views = [tariff_view(row) for row in _rows(session, tenant, product, withdrawn=every)]
    return [view for view in views if every or view.tariff.visibility == "listed"]


def listed_tariffs(session: Session) -> dict[tuple[str, str], list[TariffView]]:
    """The listed ones that products are offered at, by tenant and product."""
    found: dict[tuple[str, str], list[TariffView]] = {}
    for row in session.scalars(select(TariffRow).where(TariffRow.withdrawn_at.is_(None)).order_by(TariffRow.id)):
        if (view := tariff_view(row)).tariff.visibility == "listed":
            found.setdefault((row.tenant, row.product), []).append(view)
    return found


def withdraw_tariff(session: Session, tenant: str, product: str, tariff: str, now: datetime) -> TariffView:
    """No new subscriptions to it from now on; by its id or its name. Raises `UnknownTariff`."""
    row = offered_tariff(session, tenant, product, tariff)
    row.withdrawn_at = now
    return tariff_view(row)


def offered_tariff(session: Session, tenant: str, product: str, tariff: str) -> TariffRow:
    """The tariff that can be subscribed to, by its id or its name. Raises `UnknownTariff`."""
    for row in _rows(session, tenant, product):
        if tariff in (row.id, row.name):
            return row
    raise UnknownTariff(tariff=tariff[:100], product=product)


def tariff_view(row: TariffRow) -> TariffView:
    """The row as it is shown."""
    return TariffView(
        id=row.id, product=row.product, seller=row.principal, tariff=tariff_in(row), created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
    )  # fmt: skip


def tariff_in(row: TariffRow) -> Tariff:
    """The document of the row."""
    return Tariff.model_validate_json(row.document)


def prices_of(tariff: Tariff) -> Prices:
    """The tariff's prices, exactly."""
    tiers = tariff.tiers or [TariffTier(up_to=None, price=tariff.price or "0")]
    return Prices(
        currency=tariff.currency,
        tiers=tuple(Tier(each.up_to, Fraction(each.price)) for each in tiers),
        per=tariff.per,
        flat=Fraction(tariff.flat),
        included=tariff.included,
        minimum=Fraction(tariff.minimum),
        counting=Counting(tariff.counting),
        rounding=Rounding(tariff.rounding),
    )


def _rows(session: Session, tenant: str, product: str, *, withdrawn: bool = False) -> Sequence[TariffRow]:
    of_product = select(TariffRow).where(TariffRow.tenant == tenant, TariffRow.product == product)
    if not withdrawn:
        of_product = of_product.where(TariffRow.withdrawn_at.is_(None))
    return session.scalars(of_product.order_by(TariffRow.id)).all()
