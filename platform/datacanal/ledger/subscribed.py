"""Who is subscribed to a product, as the control plane asks the book when jobs read products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from datacanal.domain.usage import Terms
from datacanal.ledger.models import AccountRow, SubscriptionRow
from datacanal.ledger.terms import terms_of

_BEGUN = func.coalesce(SubscriptionRow.decided_at, SubscriptionRow.created_at)


def terms_at(session: Session, tenant: str, principal: str, product: str, at: datetime) -> Terms | None:
    """The subscription of the principal's account to the product as it was at that time."""
    held = (
        select(SubscriptionRow)
        .join(AccountRow, AccountRow.id == SubscriptionRow.account_id)
        .where(AccountRow.tenant == tenant, AccountRow.principal == principal, SubscriptionRow.product == product)
        .where(SubscriptionRow.state.in_(("active", "ended")), at >= _BEGUN)
        .where(or_(SubscriptionRow.ended_at.is_(None), SubscriptionRow.ended_at > at))
    )
    # One that was given up while it was pending was never held.
    rows = [row for row in session.scalars(held) if row.state == "active" or row.decided_at is not None]
    return terms_of(rows[0]) if rows else None


def subscribers(session: Session, tenant: str) -> Mapping[str, frozenset[str]]:
    """The principals of the tenant with an active subscription, by product."""
    found: dict[str, set[str]] = defaultdict(set)
    active = (
        select(SubscriptionRow.product, AccountRow.principal)
        .join(AccountRow, AccountRow.id == SubscriptionRow.account_id)
        .where(AccountRow.tenant == tenant, SubscriptionRow.state == "active")
    )
    for product, principal in session.execute(active):
        found[product].add(principal)
    return {product: frozenset(names) for product, names in found.items()}
