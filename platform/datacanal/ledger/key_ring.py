"""The API keys of subscriptions: made, rotated, revoked; at most two of a mode hold at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from datacanal.domain.errors import BadField, WrongState
from datacanal.domain.metering_errors import SubscriptionNotActive, TooManyKeys
from datacanal.ledger.asking import Asker, Made, Slice, checked_id, not_found, own_account, sliced
from datacanal.ledger.entitled import SCOPES
from datacanal.ledger.keys import new_key
from datacanal.ledger.models import AccountRow, KeyRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.subscriptions import own_subscription
from datacanal.protocol.accounts import KeyRequest, KeyView, Mode, NewApiKey, Rotation

MOST_KEYS = 2


class KeyRing:
    """Every method acts for an asker, in one transaction; a key's secret is in the answer that it is made by."""

    def __init__(self, store: LedgerStore, made: Made, pepper: bytes) -> None:
        self._store = store
        self._made = made
        self._pepper = pepper

    def create(self, asker: Asker, request: KeyRequest) -> NewApiKey:
        """A new key. Raises `NotFound`, `SubscriptionNotActive`, `TooManyKeys`, `BadField`."""
        now = self._made.now()
        _check_expiry(request.expires, now)
        with self._store.changing() as session:
            subscription = own_subscription(session, asker, request.subscription)
            _check_active(subscription)
            _check_room(session, subscription.id, request.mode, now)
            return self._added(session, asker, subscription, request)

    def rotate(self, asker: Asker, key: str, rotation: Rotation) -> NewApiKey:
        """A new key like this one, which ends when they have overlapped.

        Raises `NotFound`, `WrongState` for a key that has ended, otherwise as `create` does.
        """
        now = self._made.now()
        _check_expiry(rotation.expires, now)
        with self._store.changing() as session:
            old, subscription = _found(session, asker, key)
            _check_active(subscription)
            if not holds(old, now):
                hint = "Make a new key: `datacanal key create`."
                raise WrongState(what="key", state="revoked or expired", action="be rotated", hint=hint)
            expires = rotation.expires or (now + (old.expires_at - old.created_at) if old.expires_at else None)
            ends_at = now + timedelta(seconds=rotation.overlap_s)
            old.expires_at = min(ends_at, old.expires_at) if old.expires_at else ends_at
            session.flush()
            mode: Mode = "live" if old.mode == "live" else "test"
            _check_room(session, subscription.id, mode, now)
            like = KeyRequest(
                subscription=subscription.id,
                name=old.name,
                mode=mode,
                scopes=json.loads(old.scopes),
                expires=expires,
            )
            return self._added(session, asker, subscription, like)

    def revoke(self, asker: Asker, key: str) -> KeyView:
        """End the key now; revoking it again changes nothing. Raises `NotFound`."""
        with self._store.changing() as session:
            row, subscription = _found(session, asker, key)
            row.revoked_at = row.revoked_at or self._made.now()
            return key_view(row, subscription.product)

    def list_slice(self, asker: Asker, subscription: str | None, part: Slice) -> tuple[list[KeyView], bool]:
        """The keys of the asker's subscriptions, or of one of them; and whether there are more.

        Raises `NotFound` for a subscription that is not the asker's.
        """
        found = _own(asker)
        with self._store.reading_rows() as session:
            if subscription is not None:
                own_subscription(session, asker, subscription)
                found = found.where(KeyRow.subscription_id == subscription)
            rows, more = sliced(session, found, KeyRow.id, part)
            return [key_view(row, _product(session, row)) for row in rows], more

    def show(self, asker: Asker, key: str) -> KeyView:
        """One key. Raises `NotFound`."""
        with self._store.reading_rows() as session:
            row, subscription = _found(session, asker, key)
            return key_view(row, subscription.product)

    def _added(self, session: Session, asker: Asker, subscription: SubscriptionRow, request: KeyRequest) -> NewApiKey:
        made = new_key(self._pepper, request.mode)
        row = KeyRow(
            id=made.id,
            tenant=subscription.tenant,
            principal=asker.principal.name,
            subscription_id=subscription.id,
            name=request.name,
            mode=request.mode,
            digest=made.digest,
            last_four=made.last_four,
            scopes=json.dumps(_ordered(request.scopes)),
            created_at=self._made.now(),
            expires_at=request.expires,
            revoked_at=None,
            last_used_at=None,
        )
        session.add(row)
        return NewApiKey(key=key_view(row, subscription.product), secret=made.text)


def holds(row: KeyRow, now: datetime) -> bool:
    """Whether the key is neither revoked nor expired."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def _check_room(session: Session, subscription: str, mode: Mode, now: datetime) -> None:
    same = select(KeyRow).where(KeyRow.subscription_id == subscription, KeyRow.mode == mode)
    if sum(holds(row, now) for row in session.scalars(same)) >= MOST_KEYS:
        raise TooManyKeys(subscription=subscription, limit=MOST_KEYS, mode=mode)


def _check_active(subscription: SubscriptionRow) -> None:
    if subscription.state != "active":
        raise SubscriptionNotActive(
            subscription=subscription.id, product=subscription.product, state=subscription.state
        )


def _check_expiry(expires: datetime | None, now: datetime) -> None:
    if expires is None:
        return
    if expires.tzinfo is None:
        raise BadField(field="expires", reason="a time zone is needed, for instance 2030-01-31T00:00:00Z")
    if expires <= now:
        raise BadField(field="expires", reason="it must be in the future")


def _ordered(scopes: Sequence[str]) -> list[str]:
    return [scope for scope in SCOPES if scope in scopes]


def _own(asker: Asker) -> Select[KeyRow]:
    joined = select(KeyRow).join(SubscriptionRow, SubscriptionRow.id == KeyRow.subscription_id)
    return joined.join(AccountRow, AccountRow.id == SubscriptionRow.account_id).where(own_account(asker))


def _found(session: Session, asker: Asker, key: str) -> tuple[KeyRow, SubscriptionRow]:
    row = session.scalars(_own(asker).where(KeyRow.id == checked_id("key", key))).one_or_none()
    if row is None:
        raise not_found("key", key)
    return row, session.get_one(SubscriptionRow, row.subscription_id)


def _product(session: Session, row: KeyRow) -> str:
    return session.get_one(SubscriptionRow, row.subscription_id).product


def key_view(row: KeyRow, product: str) -> KeyView:
    return KeyView.model_validate(
        {
            "id": row.id,
            "subscription": row.subscription_id,
            "product": product,
            "name": row.name,
            "mode": row.mode,
            "scopes": json.loads(row.scopes),
            "last_four": row.last_four,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "revoked_at": row.revoked_at,
            "last_used_at": row.last_used_at,
        }
    )
