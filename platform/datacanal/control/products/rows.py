"""Products, versions and channels in the store, found for whoever asks: what they may not see does not exist."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.access import Principal, is_named, owns_product
from datacanal.domain.errors import Forbidden, NotFound
from datacanal.domain.product import VersionState
from datacanal.domain.product_errors import ProductRetired, VersionNotFound
from datacanal.protocol.products import Channel
from datacanal.state.product_models import ChannelRow, ProductRow, VersionRow

_WHOLE = (VersionState.STAGED, VersionState.CANARY, VersionState.STABLE, VersionState.SUPERSEDED)


def sees(principal: Principal, row: ProductRow) -> bool:
    """A private product is for its owner, admins and readers; every other for whoever is of its tenant."""
    if owns_product(principal, row.tenant, row.principal):
        return True
    open_to_all = row.visibility != "private"
    return principal.tenant == row.tenant and (open_to_all or is_named(principal, json.loads(row.readers)))


def seen(session: Session, principal: Principal, name: str) -> ProductRow:
    """The product. Raises `NotFound`, also for what the principal may not see."""
    row = session.get(ProductRow, (principal.tenant, name))
    if row is None or not sees(principal, row):
        raise NotFound(what="product", name=name)
    return row


def owned(session: Session, principal: Principal, name: str) -> ProductRow:
    """The product that the principal manages. Raises `NotFound`, `Forbidden` for one that only others manage."""
    row = seen(session, principal, name)
    if not owns_product(principal, row.tenant, row.principal):
        action = f"manage {name}, which belongs to {row.principal!r}"
        raise Forbidden(role=principal.role, action=action, allowed="admin")
    return row


def living(session: Session, principal: Principal, name: str) -> ProductRow:
    """The same, of a product that new things may happen to. Raises `ProductRetired` too."""
    row = owned(session, principal, name)
    if row.retired_at is not None:
        raise ProductRetired(product=name, retired_at=f"{row.retired_at:%Y-%m-%d}", owner=row.principal)
    return row


def versions(session: Session, row: ProductRow) -> Sequence[VersionRow]:
    """Every version, the newest number first."""
    of_product = select(VersionRow).where(VersionRow.tenant == row.tenant, VersionRow.product == row.name)
    return session.scalars(of_product.order_by(VersionRow.major.desc(), VersionRow.minor.desc())).all()


def version(session: Session, row: ProductRow, number: str) -> VersionRow:
    """The version of that number. Raises `VersionNotFound`."""
    found = next((each for each in versions(session, row) if each.version == number), None)
    if found is None:
        raise VersionNotFound(product=row.name, version=number)
    return found


def pointers(session: Session, row: ProductRow, channel: Channel) -> Sequence[ChannelRow]:
    """Where the channel pointed, the newest first."""
    of_channel = select(ChannelRow).where(
        ChannelRow.tenant == row.tenant, ChannelRow.product == row.name, ChannelRow.channel == channel
    )
    return session.scalars(of_channel.order_by(ChannelRow.id.desc())).all()


def pointer(session: Session, row: ProductRow, channel: Channel) -> ChannelRow | None:
    """Where the channel points; None where it points nowhere."""
    newest = next(iter(pointers(session, row, channel)), None)
    return newest if newest is not None and newest.snapshot is not None else None


def stable(session: Session, row: ProductRow) -> VersionRow | None:
    """The version that readers get."""
    found = pointer(session, row, "stable")
    return None if found is None else session.get_one(VersionRow, found.snapshot)


def yardstick(session: Session, row: ProductRow, number: VersionRow) -> VersionRow | None:
    """The version that this one is held against: the stable one, or the newest of the same major that was built.

    One of another major only where there is none of the same.
    """
    released = stable(session, row)
    if released is not None and released.major == number.major:
        return released
    of_major = (
        each
        for each in versions(session, row)
        if each.major == number.major and each.minor < number.minor and each.state in _WHOLE
    )
    return next(of_major, released)
