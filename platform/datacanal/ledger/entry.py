"""Whether whoever calls may still do so, as the book has it in the transaction that charges them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, update

from datacanal.domain.metering_errors import KeyExpired, KeyRevoked, KeyWrong, SubscriptionNotActive
from datacanal.ledger.charges import Charge
from datacanal.ledger.kept import Kept
from datacanal.ledger.models import KeyRow, SubscriptionRow
from datacanal.ledger.prepared import Lookup, Write
from datacanal.ledger.shelf import Shelf

_SAID_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What of a key decides whether it opens."""

    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class Entry:
    """The keys and subscriptions that are used in a transaction."""

    def __init__(self, connection: Connection, now: datetime, kept: Kept) -> None:
        self._connection = connection
        self._now = now
        self._keys: Shelf[str, KnownKey] = Shelf(self._read_keys, kept.keys)
        self._states: Shelf[str, str] = Shelf(self._read_states, kept.states)
        self._used: set[str] = set()
        self._entered: set[tuple[str | None, str | None]] = set()

    def fetch(self, charges: Collection[Charge]) -> None:
        """Read at once what `check` will ask for."""
        self._keys.fetch([each.key for each in charges if each.key])
        self._states.fetch([each.terms.subscription for each in charges if each.terms.subscription])

    def check(self, charge: Charge) -> None:
        """Raises `KeyWrong`, `KeyRevoked`, `KeyExpired` or `SubscriptionNotActive`."""
        key, subscription = charge.key, charge.terms.subscription
        if (key, subscription) in self._entered:
            return
        if key is not None:
            self._check_key(key)
        if subscription is not None and (state := self._states.get(subscription)) != "active":
            raise SubscriptionNotActive(
                subscription=subscription, product=charge.terms.product, state=state or "not there"
            )
        self._entered.add((key, subscription))

    def used(self, key: str | None) -> None:
        """The key was used; the book says when, to the minute."""
        if key is not None:
            self._used.add(key)

    def write(self) -> None:
        """Write when keys were used."""
        found = ((key, self._keys.get(key)) for key in self._used)
        told = [(key, row) for key, row in found if row is not None and self._is_to_be_said(row.last_used_at)]
        _USED.run(self._connection, [(key, self._now) for key, _row in told])
        for key, row in told:
            self._keys.put(key, replace(row, last_used_at=self._now))

    def _is_to_be_said(self, said_at: datetime | None) -> bool:
        return said_at is None or said_at <= self._now - _SAID_AGAIN

    def _check_key(self, key: str) -> None:
        found = self._keys.get(key)
        if found is None:
            raise KeyWrong
        if found.revoked_at is not None:
            raise KeyRevoked(key=key, revoked_at=found.revoked_at.date().isoformat())
        if found.expires_at is not None and found.expires_at <= self._now:
            raise KeyExpired(key=key, expired_at=found.expires_at.date().isoformat())

    def _read_keys(self, keys: Collection[str]) -> Iterator[tuple[str, KnownKey]]:
        for key, *times in _KEYS.rows(self._connection, [(each,) for each in keys]):
            yield key, KnownKey(*times)

    def _read_states(self, subscriptions: Collection[str]) -> Iterator[tuple[str, str]]:
        yield from ((key, state) for key, state in _STATES.rows(self._connection, [(each,) for each in subscriptions]))


_KEYS = Lookup([KeyRow.id, KeyRow.expires_at, KeyRow.revoked_at, KeyRow.last_used_at], [KeyRow.id])
_STATES = Lookup([SubscriptionRow.id, SubscriptionRow.state], [SubscriptionRow.id])
_USED = Write(
    update(KeyRow).where(KeyRow.id == bindparam("its_id")).values(last_used_at=bindparam("last_used_at")),
    ("its_id", "last_used_at"),
)
