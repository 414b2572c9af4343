"""Accounts, subscriptions and keys for tests: rows of the book, written directly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy import update

from datacanal.domain.usage import Burst, Dimension, Quota
from datacanal.ledger.entitled import SCOPES, KeyMode
from datacanal.ledger.keys import new_key, pepper_of
from datacanal.ledger.models import AccountRow, KeyRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.terms import burst_text, quotas_text

EARLY = datetime(2026, 1, 1, tzinfo=UTC)


class Subscribers:
    """Writes who may call; gateways learn it within 0.1 s, or before they refuse."""

    def __init__(self, store: LedgerStore, pepper: bytes) -> None:
        self.store = store
        self._pepper = pepper
        self._numbers = count(1)
        self._accounts: dict[tuple[str, str], str] = {}

    def subscription(
        self,
        principal: str,
        product: str,
        quotas: Sequence[Quota] = (),
        *,
        burst: Burst | None = None,
        unit: Dimension = Dimension.ROWS,
        tenant: str = "default",
        state: str = "active",
    ) -> str:
        """A subscription of the principal's account, which is made where there is none; its id."""
        account = self._account(tenant, principal)
        made = f"sub_{next(self._numbers)}_{account}"
        row = SubscriptionRow(
            id=made, tenant=tenant, principal=principal, account_id=account, product=product, tariff_id=None,
            state=state, purpose="tests", unit=unit.value, quotas=quotas_text(quotas), burst=burst_text(burst),
            reason=None, created_at=EARLY, decided_by=None, decided_at=None, ended_at=None,
        )  # fmt: skip
        self._write(row)
        return made

    def key(
        self, subscription: str, mode: KeyMode = "live", scopes: Sequence[str] = SCOPES, tenant: str = "default",
        **more: Any,
    ) -> str:  # fmt: skip
        """A new key's text."""
        key = new_key(self._pepper, mode)
        ends = {"expires_at": None, "revoked_at": None, "last_used_at": None, **more}
        self._write(
            KeyRow(
                id=key.id, tenant=tenant, principal="dev", subscription_id=subscription, name="", mode=mode,
                digest=key.digest, last_four=key.last_four, scopes=json.dumps(list(scopes)), created_at=EARLY, **ends,
            )
        )  # fmt: skip
        return key.text

    def change(self, table: Any, row_id: str, **values: Any) -> None:
        """Change the columns of a row that gateways are told of."""
        with self.store.changing() as session:
            session.execute(update(table).where(table.id == row_id).values(**values))

    def _account(self, tenant: str, principal: str) -> str:
        if (tenant, principal) not in self._accounts:
            made = self._accounts[tenant, principal] = f"acc_{tenant}_{principal}"
            self._write(
                AccountRow(
                    id=made, tenant=tenant, principal=principal, name=principal, issuer=None, subject=None,
                    webhook=None, webhook_turn=0, created_at=EARLY, closed_at=None,
                )
            )  # fmt: skip
        return self._accounts[tenant, principal]

    def _write(self, row: object) -> None:
        with self.store.changing() as session:
            session.add(row)


def subscribers(store: LedgerStore, home: Any) -> Subscribers:
    """Of the home whose book this is."""
    return Subscribers(store, pepper_of(home))
