"""Subscriptions: asked for by developers, decided by publishers, ended by either."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from datacanal.domain.errors import Forbidden, WrongState
from datacanal.domain.metering_errors import SubscriptionExists
from datacanal.domain.months import month_of
from datacanal.ledger.accounts import open_account
from datacanal.ledger.agreements import Agreement, burst_of, offered, quotas_of
from datacanal.ledger.asking import Asker, Made, Slice, checked_id, known_subscription, not_found, own_account, sliced
from datacanal.ledger.models import AccountRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.terms import burst_text, quotas_text
from datacanal.protocol.accounts import (
    Approval,
    Refusal,
    SubscriptionRequest,
    SubscriptionState,
    SubscriptionView,
)

_OPEN = ("pending", "active")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product as whoever subscribes to it sees it."""

    name: str
    may_read: bool
    is_private: bool
    is_own: bool

    def waits(self, agreement: Agreement) -> bool:
        """Whether the publisher is asked first. Without a tariff nobody was offered anything but its readers."""
        if self.is_own:
            return False
        asked_first = not self.may_read if agreement.approval is None else agreement.approval
        return self.is_private or asked_first


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of a list's subscriptions: those to the product, those in the state."""

    product: str | None = None
    state: SubscriptionState | None = None


class Subscriptions:
    """Every method acts for an asker, in one transaction."""

    def __init__(self, store: LedgerStore, made: Made) -> None:
        self._store = store
        self._made = made

    def ask(self, asker: Asker, request: SubscriptionRequest, product: Wanted) -> SubscriptionView:
        """A subscription of the account, active at once or pending.

        Raises `SubscriptionExists`, `UnknownTariff`, `TariffNeeded`, `AccountClosed`.
        """
        with self._store.changing() as session:
            account = open_account(session, self._made, asker, request.account)
            _check_none(session, account, product.name)
            agreement = offered(session, account.tenant, product.name, request.tariff)
            row = self._row(account, asker, request, agreement)
            waits = product.waits(agreement) or (agreement.tariff is not None and self._ended_lately(session, row))
            row.state = "pending" if waits and not product.is_own else "active"
            row.decided_at = row.created_at if row.state == "active" else None  # since when it is paid for
            session.add(row)
            session.flush()
            return subscription_view(row)

    def list_slice(self, asker: Asker, which: Filter, part: Slice) -> tuple[list[SubscriptionView], bool]:
        """The subscriptions that exist for the asker, the newest first; and whether there are more."""
        found = _known(asker)
        if which.product is not None:
            found = found.where(SubscriptionRow.product == which.product)
        if which.state is not None:
            found = found.where(SubscriptionRow.state == which.state)
        with self._store.reading_rows() as session:
            rows, more = sliced(session, found, SubscriptionRow.id, part)
            return [subscription_view(row) for row in rows], more

    def show(self, asker: Asker, subscription: str) -> SubscriptionView:
        """One subscription. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            return subscription_view(_found(session, asker, subscription))

    def approve(self, asker: Asker, subscription: str, approval: Approval) -> SubscriptionView:
        """Let a pending one begin, with other quotas or burst than its tariff's where they are given.

        Raises `NotFound`, `Forbidden` for whoever does not publish the product, `WrongState`.
        """
        with self._store.changing() as session:
            row = self._decided(session, asker, subscription, "active")
            row.quotas = row.quotas if approval.quotas is None else quotas_text(quotas_of(approval.quotas))
            row.burst = row.burst if approval.burst is None else burst_text(burst_of(approval.burst))
            return subscription_view(row)

    def refuse(self, asker: Asker, subscription: str, refusal: Refusal) -> SubscriptionView:
        """Refuse a pending one. Raises as `approve` does."""
        with self._store.changing() as session:
            row = self._decided(session, asker, subscription, "refused")
            row.reason = refusal.reason
            return subscription_view(row)

    def end(self, asker: Asker, subscription: str) -> SubscriptionView:
        """End it now, and with it its keys; ending it again changes nothing. Raises `WrongState` for a refused one."""
        with self._store.changing() as session:
            row = _found(session, asker, subscription)
            if row.state == "refused":
                raise WrongState(what="subscription", state=row.state, action="be ended", hint="It never began.")
            row.state, row.ended_at = "ended", row.ended_at or self._made.now()
            return subscription_view(row)

    def _ended_lately(self, session: Session, row: SubscriptionRow) -> bool:
        """Whether the account had the product this month: quotas and included units would begin anew otherwise."""
        lately = select(SubscriptionRow.id).where(
            SubscriptionRow.account_id == row.account_id,
            SubscriptionRow.product == row.product,
            SubscriptionRow.decided_at.is_not(None),
            SubscriptionRow.ended_at >= month_of(row.created_at).start,
        )
        return session.scalars(lately).first() is not None

    def _decided(self, session: Session, asker: Asker, subscription: str, state: SubscriptionState) -> SubscriptionRow:
        row = _found(session, asker, subscription)
        if not asker.decides_on(row.product):
            action = f"decide on subscriptions to {row.product}, which it does not publish"
            raise Forbidden(role=asker.principal.role, action=action, allowed="admin")
        if row.state != "pending":
            hint = "Only one that waits can be decided on; `datacanal subscription end` ends one that is active."
            raise WrongState(what="subscription", state=row.state, action="be decided on", hint=hint)
        row.state, row.decided_by, row.decided_at = state, asker.principal.name, self._made.now()
        return row

    def _row(
        self, account: AccountRow, asker: Asker, request: SubscriptionRequest, agreement: Agreement
    ) -> SubscriptionRow:
        return SubscriptionRow(
            id=self._made.new_id("sub"),
            tenant=account.tenant,
            principal=asker.principal.name,
            account_id=account.id,
            product=request.product,
            tariff_id=agreement.tariff,
            purpose=request.purpose,
            unit=agreement.unit.value,
            quotas=quotas_text(agreement.quotas),
            burst=burst_text(agreement.burst),
            reason=None,
            created_at=self._made.now(),
            decided_by=None,
            decided_at=None,
            ended_at=None,
        )


def own_subscription(session: Session, asker: Asker, subscription: str) -> SubscriptionRow:
    """A subscription of the asker's own account, or of any account for admins. Raises `NotFound`."""
    return _one(session, _all().where(own_account(asker)), subscription)


def _found(session: Session, asker: Asker, subscription: str) -> SubscriptionRow:
    return _one(session, _known(asker), subscription)


def _one(session: Session, among: Select[SubscriptionRow], subscription: str) -> SubscriptionRow:
    row = session.scalars(among.where(SubscriptionRow.id == checked_id("subscription", subscription))).one_or_none()
    if row is None:
        raise not_found("subscription", subscription)
    return row


def _known(asker: Asker) -> Select[SubscriptionRow]:
    return _all().where(known_subscription(asker))


def _all() -> Select[SubscriptionRow]:
    return select(SubscriptionRow).join(AccountRow, AccountRow.id == SubscriptionRow.account_id)


def _check_none(session: Session, account: AccountRow, product: str) -> None:
    same = select(SubscriptionRow).where(
        SubscriptionRow.account_id == account.id, SubscriptionRow.product == product, SubscriptionRow.state.in_(_OPEN)
    )
    if (row := session.scalars(same).one_or_none()) is not None:
        raise SubscriptionExists(account=account.id, product=product, state=row.state, subscription=row.id)


def subscription_view(row: SubscriptionRow) -> SubscriptionView:
    return SubscriptionView.model_validate(
        {
            "id": row.id,
            "account": row.account_id,
            "product": row.product,
            "tariff": row.tariff_id,
            "state": row.state,
            "principal": row.principal,
            "purpose": row.purpose,
            "unit": row.unit,
            "quotas": json.loads(row.quotas),
            "burst": json.loads(row.burst) if row.burst else None,
            "reason": row.reason,
            "created_at": row.created_at,
            "decided_by": row.decided_by,
            "decided_at": row.decided_at,
            "ended_at": row.ended_at,
        }
    )
