"""Who asks the book for accounts, subscriptions and keys, which of them exist for whom, and lists page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, or_, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from datacanal.domain.access import Principal
from datacanal.domain.errors import NotFound
from datacanal.ledger.models import AccountRow, SubscriptionRow

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Asker:
    """`owned` are the products of the principal's tenant that it publishes, so whose subscriptions it decides on."""

    principal: Principal
    owned: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return self.principal.role == "admin"

    def decides_on(self, product: str) -> bool:
        """Whether the subscriptions of the tenant to that product are its own to decide on."""
        return self.is_admin or product in self.owned


@dataclass(frozen=True, slots=True)
class Made:
    """Where the time and new ids come from."""

    now: Callable[[], datetime]
    new_id: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Slice:
    """So many of a list, by id from the last on (the newest first, as ids sort by time), after the one of that id."""

    limit: int
    after: str | None = None


def own_account(asker: Asker) -> ColumnElement[bool]:
    """An account is its principal's and the tenant's admins'; this selects with `AccountRow`."""
    whose = true() if asker.is_admin else AccountRow.principal == asker.principal.name
    return and_(AccountRow.tenant == asker.principal.tenant, whose)


def known_subscription(asker: Asker) -> ColumnElement[bool]:
    """A subscription is its account's, and seen by who publishes the product; selects with it and `AccountRow`."""
    published = SubscriptionRow.product.in_(sorted(asker.owned)) if asker.owned else false()
    return or_(own_account(asker), and_(SubscriptionRow.tenant == asker.principal.tenant, published))


def not_found(what: str, name: str) -> NotFound:
    """There is no such thing, for whoever asks at least."""
    return NotFound(what=what, name=name[:200])


def checked_id(what: str, name: str) -> str:
    """The id, where it could be one; databases differ in which other texts they take. Raises `NotFound`."""
    if not (name.isascii() and name.isprintable()):
        raise not_found(what, ascii(name)[1:-1])
    return name


def sliced(session: Session, found: Select[R], key: InstrumentedAttribute[str], part: Slice) -> tuple[list[R], bool]:
    """The rows of the slice, and whether there are more."""
    rest = found if part.after is None else found.where(key < part.after)
    rows = list(session.scalars(rest.order_by(key.desc()).limit(part.limit + 1)))
    return rows[: part.limit], len(rows) > part.limit
