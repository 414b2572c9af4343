"""Products as datasets of jobs: what the site beside their store is told."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.control.products.rows import stable
from datacanal.protocol.products import Contract
from datacanal.protocol.site import SharedProduct, SharedProducts
from datacanal.state.product_models import ProductRow


def shared_products(session: Session, tenant: str, subscribed: Mapping[str, Collection[str]]) -> SharedProducts:
    """The stable snapshot of every product of the tenant that has one and is not retired, by name.

    `subscribed` are the principals with an active subscription, by product; they read it as its readers do.
    """
    living = select(ProductRow).where(ProductRow.tenant == tenant, ProductRow.retired_at.is_(None))
    rows = session.scalars(living.order_by(ProductRow.name)).all()
    return SharedProducts(
        products=[shared for row in rows if (shared := _shared(session, row, subscribed.get(row.name, ()))) is not None]
    )


def _shared(session: Session, row: ProductRow, subscribed: Collection[str]) -> SharedProduct | None:
    version = stable(session, row)
    if version is None:
        return None
    key = Contract.model_validate_json(version.contract).key
    return SharedProduct(name=row.name, snapshot=version.snapshot, key=key, readers=_readers(row, subscribed))


def _readers(row: ProductRow, subscribed: Collection[str]) -> list[str] | None:
    """Its own, its owner and its subscribers; of an internal product everybody."""
    if row.visibility == "internal":
        return None
    return sorted({*json.loads(row.readers), *(f"principal:{name}" for name in (row.principal, *subscribed))})
