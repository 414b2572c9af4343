"""The number that grows with every change of products and tokens, by which gateways know that there is news."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from datacanal.state.product_models import RevisionRow


def grow(session: Session) -> None:
    """Tell the gateways, in the transaction that makes the change."""
    session.execute(update(RevisionRow).values(number=RevisionRow.number + 1))


def number_of(session: Session) -> int:
    """How often something changed."""
    return session.scalars(select(RevisionRow.number)).one()
