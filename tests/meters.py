"""Subscribers and their calls for tests: a book with an account, a subscription and a key, and a clock that is told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from datacanal.domain.chain import BEGINNING
from datacanal.domain.usage import Amounts, Burst, Dimension, Period, Quota, Terms
from datacanal.ledger.asks import Ask, HoldNow
from datacanal.ledger.chain import link
from datacanal.ledger.charges import Charge
from datacanal.ledger.models import AccountRow, EventRow, HoldRow, KeyRow, MeterRow, SubscriptionRow
from datacanal.ledger.performing import perform
from datacanal.ledger.store import LedgerStore

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROWS_A_DAY = Quota(Dimension.ROWS, 10_000, Period.DAY)


def rows_a_day(amount: int, *, soft: bool = False) -> Quota:
    return Quota(Dimension.ROWS, amount, Period.DAY, soft)


class Subscriber:
    """An account `acc_{name}` with a subscription `sub_{name}` and a key `key_{name}` in the book of a home."""

    def __init__(
        self, store: LedgerStore, name: str = "1", quotas: Sequence[Quota] = (ROWS_A_DAY,), burst: Burst | None = None
    ) -> None:
        self.store = store
        self.now = AT
        self.key = f"key_{name}"
        self.terms = Terms("acme", f"acc_{name}", f"sub_{name}", "pub.bars", None, Dimension.ROWS, tuple(quotas), burst)
        self._numbers = itertools.count(1)
        with store.changing() as session:
            whose = {"tenant": "acme", "principal": f"ann{name}", "created_at": AT}
            session.add(AccountRow(id=f"acc_{name}", name=f"Ann {name}", webhook="https://example.org/hook", **whose))
            session.flush()
            session.add(
                SubscriptionRow(
                    id=f"sub_{name}", account_id=f"acc_{name}", product="pub.bars", state="active", purpose="",
                    unit="rows", quotas="[]", **whose,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                KeyRow(
                    id=self.key, subscription_id=f"sub_{name}", name="k", mode="live", digest="d", last_four="abcd",
                    scopes="[]", **whose,
                )
            )  # fmt: skip

    def charge(self, rows: int = 10, **more: Any) -> Charge:
        """A new call of so many rows; `request` is its own unless it is given."""
        number = f"{self.terms.account[4:]}_{next(self._numbers):06}"
        amounts = Amounts(1, rows, rows * 100, 5)
        plain = Charge(
            f"rcp_{number}", f"req:{number}", self.terms, "ann", self.key, "1.0.0", "snp_1", "q" * 64, "p" * 64, amounts
        )
        return replace(plain, **more)

    def do(self, *asks: Ask) -> list[Any]:
        """What they come to, all in one transaction."""
        with self.store.writing() as connection:
            return perform(connection, asks, self.now)

    def one(self, ask: Ask) -> Any:
        """The answer of one. Raises what refuses it."""
        [answer] = self.do(ask)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def now_is(self) -> datetime:
        return self.now

    def set(self, row: type, **values: Any) -> None:
        """Change all rows of a table."""
        with self.store.changing() as session:
            session.execute(update(row).values(**values))

    def events(self) -> list[EventRow]:
        """The account's, in order."""
        with self.store.reading_rows() as session:
            mine = select(EventRow).where(EventRow.account_id == self.terms.account).order_by(EventRow.seq)
            return list(session.scalars(mine))

    def holds(self) -> list[HoldRow]:
        with self.store.reading_rows() as session:
            return list(session.scalars(select(HoldRow).where(HoldRow.account_id == self.terms.account)))

    def meters(self) -> dict[tuple[str, str, datetime], tuple[int, int]]:
        """What is used and held, by dimension, period and its beginning."""
        with self.store.reading_rows() as session:
            mine = session.scalars(select(MeterRow).where(MeterRow.subscription_id == self.terms.subscription))
            return {(row.dimension, row.period, row.start): (row.used, row.held) for row in mine}

    def rows(self) -> tuple[int, int]:
        """What of today's rows is used and held."""
        return self.meters()["rows", "day", self.now.replace(hour=0, minute=0, second=0, microsecond=0)]


def hold(ann: Subscriber, rows: int, **more: Any) -> Charge:
    """A call that `gw` holds for."""
    charge = ann.charge(rows=rows, **more)
    ann.one(HoldNow(charge, "gw"))
    return charge


def is_chained(store: LedgerStore) -> bool:
    """Whether every event follows from the one before."""
    head = BEGINNING
    with store.reading() as connection:
        for number, row in enumerate(connection.execute(select(EventRow.__table__).order_by(EventRow.seq)), start=1):
            head = link(head, row._mapping)
            if (row.seq, row.hash) != (number, head):
                return False
    return True
