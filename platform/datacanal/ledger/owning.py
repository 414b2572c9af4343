"""Whose an account of the book is: its principal's, and that of the admins of the tenant."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from datacanal.domain.access import Principal
from datacanal.domain.errors import NotFound
from datacanal.ledger.models import AccountRow

_INTERNAL = "internal:"


def sees_account(connection: Connection, caller: Principal, tenant: str, account: str) -> bool:
    """Whether what the account used exists for the caller."""
    if caller.tenant != tenant:
        return False
    return caller.role == "admin" or account in accounts_of(connection, caller)


def accounts_of(connection: Connection, caller: Principal) -> Sequence[str]:
    """The accounts that the caller's calls are counted on: the internal one, and its own where it has one."""
    own = select(AccountRow.id).where(AccountRow.tenant == caller.tenant, AccountRow.principal == caller.name)
    return [f"{_INTERNAL}{caller.name}", *connection.execute(own).scalars()]


def chosen_accounts(connection: Connection, caller: Principal, asked: str | None) -> Sequence[str]:
    """The account that is asked for, else the caller's. Raises `NotFound` for one that is not the caller's to see."""
    if asked is None:
        return accounts_of(connection, caller)
    known = select(AccountRow.id).where(AccountRow.tenant == caller.tenant, AccountRow.id == asked)
    exists = asked.startswith(_INTERNAL) or connection.execute(known).first() is not None
    if not exists or not sees_account(connection, caller, caller.tenant, asked):
        raise NotFound(what="account", name=asked)
    return [asked]
