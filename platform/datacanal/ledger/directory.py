"""Who may call, kept in memory: looked at ten times a second, read anew when the book says that it changed.

Everything is read at once, so that a key that is there is found as fast as one that is not.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from datacanal.domain.usage import Terms
from datacanal.ledger.entitled import HeldKey
from datacanal.ledger.models import AccountRow, ChangeRow, KeyRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.tariffs import listed_tariffs
from datacanal.ledger.terms import terms_of
from datacanal.looking import SharedLook
from datacanal.protocol.money import TariffView

_LOOK_S = 0.1
_NONE: Mapping[str, Terms] = MappingProxyType({})
_log = structlog.get_logger()


@dataclass(frozen=True)
class Entries:
    """What the directory said in one moment.

    Keys by id; active subscriptions by tenant and principal, then product; listed tariffs by tenant and product.
    """

    number: int
    keys: Mapping[str, HeldKey]
    subscribed: Mapping[tuple[str, str], Mapping[str, Terms]]
    listed: Mapping[tuple[str, str], Sequence[TariffView]]


class Directory:
    """Usable from any thread between `open` and `close`; a thread of its own keeps it new."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._entries = Entries(-1, {}, {}, {})
        self._one = threading.Lock()
        self._closing = threading.Event()
        self._shared = SharedLook(self._catch_up)
        self._thread = threading.Thread(target=self._watch, name="directory", daemon=True)

    @property
    def number(self) -> int:
        """Grows with what is known."""
        return self._entries.number

    def key(self, key: str) -> HeldKey | None:
        """The key of that id, whatever became of it."""
        return self._entries.keys.get(key)

    def subscribed(self, tenant: str, principal: str) -> Mapping[str, Terms]:
        """The active subscriptions of the principal's account, by product."""
        return self._entries.subscribed.get((tenant, principal), _NONE)

    def terms(self, tenant: str, principal: str, product: str) -> Terms | None:
        """The active subscription of the principal's account to the product."""
        return self.subscribed(tenant, principal).get(product)

    def listed(self, tenant: str, product: str) -> Sequence[TariffView]:
        """The tariffs that the product is offered at."""
        return self._entries.listed.get((tenant, product), ())

    def open(self) -> None:
        """Read the book, and begin to watch it."""
        self._read()
        self._thread.start()

    async def catch_up(self, before: int) -> bool:
        """Read what was written until now; whether more is known than at that number. Asked before a refusal."""
        await self._shared.join()
        return self.number != before

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _catch_up(self) -> None:
        with suppress(Exception):  # the watching thread says what is wrong with the book
            self._read()

    def _watch(self) -> None:
        is_failing = False
        while not self._closing.wait(_LOOK_S):
            try:
                self._read()
                is_failing = False
            except Exception as error:  # the next look may succeed, and what is known stays until then
                if not is_failing:
                    _log.error("directory_not_read", reason=type(error).__name__)
                is_failing = True

    def _read(self) -> None:
        """In one transaction: what is read has the number that is read before it, or is read again."""
        with self._one, self._store.reading_rows() as session:
            number = session.scalars(select(ChangeRow.number)).one()
            if number != self.number:
                self._entries = Entries(number, *_granted(session), listed_tariffs(session))


def _granted(session: Session) -> tuple[dict[str, HeldKey], dict[tuple[str, str], dict[str, Terms]]]:
    accounts = {row.id: row for row in session.scalars(select(AccountRow))}
    subscribed: dict[tuple[str, str], dict[str, Terms]] = defaultdict(dict)
    granted: dict[str, tuple[AccountRow, str, Terms]] = {}
    for row in session.scalars(select(SubscriptionRow)):
        account, terms = accounts[row.account_id], terms_of(row)
        state = "ended" if account.closed_at is not None else row.state
        granted[row.id] = account, state, terms
        if state == "active":
            subscribed[account.tenant, account.principal][row.product] = terms
    keys = {row.id: _held(row, *granted[row.subscription_id]) for row in session.scalars(select(KeyRow))}
    return keys, dict(subscribed)


def _held(row: KeyRow, account: AccountRow, state: str, terms: Terms) -> HeldKey:
    return HeldKey(
        id=row.id,
        name=row.name,
        mode="live" if row.mode == "live" else "test",
        digest=row.digest,
        scopes=frozenset(json.loads(row.scopes)),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        owner=account.principal,
        state=state,
        terms=terms,
    )
