"""A book with accounts, tariffs, subscriptions and events, written directly, for tests of what they come to."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from datacanal.domain.usage import EventKind, Outcome
from datacanal.ledger.book import Draft, append
from datacanal.ledger.models import AccountRow, EventRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.ledger.tariffs import add_tariff
from datacanal.protocol.money import Tariff, TariffView

BEGUN = datetime(2026, 9, 20, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 15, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 15, 12, tzinfo=UTC)
_SAID = ("product", "tenant", "tariff_id", "principal", "unit")


def tariff(name: str = "basic", **fields: Any) -> Tariff:
    """A tariff of 0.01 CNY a row."""
    prices = {} if "tiers" in fields else {"price": "0.01"}
    return Tariff.model_validate({"name": name, "currency": "CNY", **prices, **fields})


class MoneyBook:
    """The book of a home; ids count up, over all books."""

    _numbers = count(1)

    def __init__(self, home: Path, store: LedgerStore | None = None) -> None:
        self.store = store or open_ledger(home)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):026d}"

    def account(self, principal: str = "dev", tenant: str = "default") -> str:
        """A new account's id."""
        made = self.new_id("acc")
        row = AccountRow(
            id=made, tenant=tenant, principal=principal, name=f"{principal} & Co", issuer=None, subject=None,
            webhook=None, webhook_turn=0, created_at=BEGUN, closed_at=None,
        )  # fmt: skip
        self._write(row)
        return made

    def tariff(self, offered: Tariff, product: str = "pub.bars", seller: str = "ann", tenant: str = "default") -> str:
        """A new tariff's id."""
        view = TariffView(
            id=self.new_id("tar"), product=product, seller=seller, tariff=offered, created_at=BEGUN, withdrawn_at=None
        )
        with self.store.changing() as session:
            return add_tariff(session, tenant, view).id

    def subscription(
        self, account: str, tariff_id: str | None, product: str = "pub.bars", tenant: str = "default", **more: Any
    ) -> str:
        """A new subscription's id; active since `BEGUN`."""
        made = self.new_id("sub")
        row = {"state": "active", "decided_at": BEGUN, "ended_at": None, **more}
        self._write(
            SubscriptionRow(
                id=made, tenant=tenant, principal="dev", account_id=account, product=product, tariff_id=tariff_id,
                purpose="tests", unit="rows", quotas="[]", burst=None, reason=None, created_at=BEGUN,
                decided_by="ann", **row,
            )
        )  # fmt: skip
        return made

    def end(self, subscription: str, at: datetime) -> None:
        """End the subscription."""
        with self.store.changing() as session:
            changed = update(SubscriptionRow).where(SubscriptionRow.id == subscription)
            session.execute(changed.values(state="ended", ended_at=at))

    def use(self, subscription: str, units: int, at: datetime, *, reserved_at: datetime | None = None) -> str:
        """A call of so many rows; its receipt."""
        with self.store.reading_rows() as session:
            row = session.get_one(SubscriptionRow, subscription)
            said = {name: getattr(row, name) for name in ("account_id", *_SAID)} | {"subscription_id": row.id}
        return self._appended(EventKind.USAGE, said, units, at, reserved_at=reserved_at or at, calls=1)

    def adjust(self, receipt: str, units: int, at: datetime) -> str:
        """A correction of a call; its receipt."""
        more = {"corrects": receipt, "reason": "tests", "reserved_at": at}
        with self.store.reading_rows() as session:
            row = session.scalars(select(EventRow).where(EventRow.id == receipt)).one()
            said = {name: getattr(row, name) for name in ("account_id", "subscription_id", *_SAID)}
        return self._appended(EventKind.ADJUST, said, units, at, **more)

    def _appended(self, kind: EventKind, said: dict[str, Any], units: int, at: datetime, **more: Any) -> str:
        receipt = self.new_id("rcp")
        request = {"request_id": f"req:{receipt}", "outcome": Outcome.COMPLETE, "key_id": "key_1"}
        draft = Draft(id=receipt, kind=kind, units=units, rows=units, **request, **said, **more)
        with self.store.writing() as connection:
            append(connection, [draft], at)
        return receipt

    def _write(self, row: object) -> None:
        with self.store.changing() as session:
            session.add(row)
