"""Accounts: who pays. A principal has one, under whatever name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.access import Principal
from datacanal.domain.metering_errors import AccountClosed, AccountExists
from datacanal.ledger.asking import Asker, Made, Slice, checked_id, not_found, own_account, sliced
from datacanal.ledger.models import AccountRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.accounts import AccountRequest, AccountUpdate, AccountView

_MOST_NAME = 128
_TAIL = 6


@dataclass(frozen=True, slots=True)
class Person:
    """Who an identity provider says that somebody is; `name` is what they are called."""

    tenant: str
    issuer: str
    subject: str
    name: str


class Accounts:
    """Every method acts for an asker, in one transaction."""

    def __init__(self, store: LedgerStore, made: Made) -> None:
        self._store = store
        self._made = made

    def create(self, asker: Asker, request: AccountRequest) -> AccountView:
        """The asker's account; one that was closed is open again, under this name. Raises `AccountExists`."""
        with self._store.changing() as session:
            row = account_of(session, asker.principal)
            if row is not None and row.closed_at is None:
                raise AccountExists(name=row.name, account=row.id)
            _check_free(session, asker.principal.tenant, request.name, row)
            row = row or _added(session, self._made, asker.principal, request.name)
            row.name, row.closed_at = request.name, None
            return account_view(row)

    def list_slice(self, asker: Asker, part: Slice) -> tuple[list[AccountView], bool]:
        """The accounts that exist for the asker, the newest first; and whether there are more."""
        with self._store.reading_rows() as session:
            rows, more = sliced(session, select(AccountRow).where(own_account(asker)), AccountRow.id, part)
            return [account_view(row) for row in rows], more

    def show(self, asker: Asker, account: str) -> AccountView:
        """One account. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            return account_view(found_account(session, asker, account))

    def update(self, asker: Asker, account: str, update: AccountUpdate) -> AccountView:
        """Change what is given. Raises `NotFound`, `AccountExists`."""
        with self._store.changing() as session:
            row = found_account(session, asker, account)
            if update.name is not None:
                _check_free(session, row.tenant, update.name, row)
                row.name = update.name
            return account_view(row)

    def close(self, asker: Asker, account: str) -> AccountView:
        """End the account's subscriptions, and with them its keys, now. Closing it again changes nothing."""
        with self._store.changing() as session:
            row = found_account(session, asker, account)
            now = self._made.now()
            row.closed_at = row.closed_at or now
            for each in session.scalars(select(SubscriptionRow).where(SubscriptionRow.account_id == row.id)):
                if each.state in ("pending", "active"):
                    each.state, each.ended_at = "ended", now
            return account_view(row)

    def of_person(self, person: Person) -> AccountView:
        """The account of somebody who signed in, made at their first sign-in."""
        theirs = select(AccountRow).where(AccountRow.issuer == person.issuer, AccountRow.subject == person.subject)
        with self._store.changing() as session:
            row = session.scalars(theirs).one_or_none()
            if row is None:
                # The principal is a name that no token has by chance: what a provider calls people is its own affair.
                number = self._made.new_id("acc")
                whose = Principal(person.tenant, f"sign-in:{number}", "developer")
                row = _added(session, self._made, whose, person.name, number)
                row.issuer, row.subject = person.issuer, person.subject
            return account_view(row)

    def signed_in(self, account: str) -> AccountView:
        """The account of somebody who did."""
        with self._store.reading_rows() as session:
            return account_view(session.get_one(AccountRow, account))


def found_account(session: Session, asker: Asker, account: str) -> AccountRow:
    """The account, where it exists for the asker. Raises `NotFound`."""
    own = select(AccountRow).where(AccountRow.id == checked_id("account", account), own_account(asker))
    row = session.scalars(own).one_or_none()
    if row is None:
        raise not_found("account", account)
    return row


def account_of(session: Session, principal: Principal) -> AccountRow | None:
    """The principal's own account."""
    own = select(AccountRow).where(AccountRow.tenant == principal.tenant, AccountRow.principal == principal.name)
    return session.scalars(own).one_or_none()


def open_account(session: Session, made: Made, asker: Asker, account: str | None) -> AccountRow:
    """The account of that id, or the asker's own, made where there is none. Raises `NotFound`, `AccountClosed`."""
    if account is None:
        row = account_of(session, asker.principal) or _added(session, made, asker.principal, asker.principal.name)
    else:
        row = found_account(session, asker, account)
    if row.closed_at is not None:
        raise AccountClosed(account=row.id, closed_at=moment(row.closed_at))
    return row


def moment(at: datetime) -> str:
    """An instant as messages have it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _added(session: Session, made: Made, owner: Principal, name: str, number: str | None = None) -> AccountRow:
    number = number or made.new_id("acc")
    row = AccountRow(
        id=number,
        tenant=owner.tenant,
        principal=owner.name,
        name=_free_name(session, owner.tenant, name, number),
        issuer=None,
        subject=None,
        webhook=None,
        webhook_turn=0,
        created_at=made.now(),
        closed_at=None,
    )
    session.add(row)
    session.flush()
    return row


def _free_name(session: Session, tenant: str, name: str, number: str) -> str:
    """The name, or where another account has it, the name and the end of the account's id."""
    name = name[:_MOST_NAME]
    return name if _named(session, tenant, name) is None else f"{name[: _MOST_NAME - _TAIL - 1]}-{number[-_TAIL:]}"


def _check_free(session: Session, tenant: str, name: str, own: AccountRow | None) -> None:
    other = _named(session, tenant, name)
    if other is not None and other is not own:
        raise AccountExists(name=name)


def _named(session: Session, tenant: str, name: str) -> AccountRow | None:
    return session.scalars(select(AccountRow).where(AccountRow.tenant == tenant, AccountRow.name == name)).one_or_none()


def account_view(row: AccountRow) -> AccountView:
    return AccountView(
        id=row.id, name=row.name, principal=row.principal, created_at=row.created_at, closed_at=row.closed_at
    )
