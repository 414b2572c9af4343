"""Usage as it is asked for: an account's own, and a product's for its publisher."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from datacanal.domain.months import Month
from datacanal.ledger.accounts import account_of, found_account
from datacanal.ledger.asking import Asker
from datacanal.ledger.counting import of_account, of_product, with_product
from datacanal.ledger.invoices import book_of
from datacanal.ledger.margins import Rates, margin
from datacanal.ledger.models import AccountRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.usage_report import GroupBy, Meant, usage_report
from datacanal.protocol.money import Margin, Usage

_INTERNAL = "internal:"


@dataclass(frozen=True, slots=True)
class UsageAsked:
    """Of which month, product (None: all) and account (None: the asker's own)."""

    month: Month
    group_by: GroupBy
    product: str | None = None
    account: str | None = None


class Usages:
    """Every method acts for an asker, on what was committed in one moment."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def of_account(self, asker: Asker, asked: UsageAsked) -> Usage:
        """What the account used, and its principal as an internal reader. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            meant = _meant(account_asked(session, asker, asked.account), asker, asked.product)
            return usage_report(session, meant, asked.month, asked.group_by, book_of(session).seq)

    def of_product(self, tenant: str, product: str, month: Month, group_by: GroupBy) -> Usage:
        """What all readers of a product used."""
        subscribed = (SubscriptionRow.tenant == tenant, SubscriptionRow.product == product)
        with self._store.reading_rows() as session:
            meant = Meant(of_product(tenant, product), subscribed)
            return usage_report(session, meant, month, group_by, book_of(session).seq)

    def margin(self, tenant: str, product: str, month: Month, rates: Rates) -> Margin:
        """What the product earns against what its jobs cost."""
        with self._store.reading_rows() as session:
            return margin(session, tenant, product, month, rates)


def account_asked(session: Session, asker: Asker, account: str | None) -> AccountRow | None:
    """The account of that id, else the asker's own where there is one. Raises `NotFound`."""
    return account_of(session, asker.principal) if account is None else found_account(session, asker, account)


def _meant(account: AccountRow | None, asker: Asker, product: str | None) -> Meant:
    """Whoever has no account may have read as a colleague all the same."""
    principal = account.principal if account else asker.principal.name
    number = account.id if account else ""
    whose = of_account(asker.principal.tenant, number, f"{_INTERNAL}{principal}")
    subscribed = (SubscriptionRow.account_id == number,)
    if product is None:
        return Meant(whose, subscribed)
    return Meant((*whose, *with_product(product)), (*subscribed, SubscriptionRow.product == product))
