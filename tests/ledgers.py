"""Books with events for tests: written and sealed as the program does it, and changed as nobody should."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from datacanal.domain.usage import Amounts, EventKind, Outcome, Period, period_start
from datacanal.ledger import DATABASE
from datacanal.ledger.book import Draft, append
from datacanal.ledger.models import AccountRow, HoldRow, MeterRow, SubscriptionRow
from datacanal.ledger.sealing import Sequencer
from datacanal.ledger.sealing_turns import Turn, turn_for
from datacanal.ledger.signing import PUBLIC_FILE, ledger_key, read_public
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.ledger.verifying import Report, verify
from datacanal.storage.places import EMBEDDED

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
COPY = "checkpoints.ndjson"


def draft(number: int, **more: object) -> Draft:
    """A usage event of `ann` on `sub_1`."""
    plain = Draft(
        id=f"rcp_{number:026}", kind=EventKind.USAGE, outcome=Outcome.COMPLETE, tenant="default", principal="ann",
        account_id="acc_1", request_id=f"req:{number}", reserved_at=AT, unit="rows", subscription_id="sub_1",
        key_id="k1", product="pub.bars", version="1.0", snapshot="snp_1", query_digest="a" * 64,
        policy_digest="b" * 64, tariff_id="trf_1", calls=1, rows=10 * number, bytes=1000 + number, compute_ms=3,
        units=10 * number,
    )  # fmt: skip
    return plain._replace(**more)


class TurnOfOthers:
    """Never ours."""

    def take(self) -> bool:
        return False

    def give(self) -> None: ...


class Ledger:
    """The book of a home, with a clock of its own."""

    def __init__(self, home: Path, database: str = EMBEDDED) -> None:
        self.home = home
        self.now = AT
        self.database = database
        self.store: LedgerStore = open_ledger(home, database)
        self.copy = home / COPY
        self.sequencer = self.another()

    def another(self, turn: Turn | None = None, copy: Path | None = None) -> Sequencer:
        """Another gateway's sequencer."""
        turn = turn or turn_for(self.store, self.home, self.database)
        return Sequencer(self.store, ledger_key(self.home), copy or self.copy, turn, lambda: self.now)

    def tick(self) -> datetime:
        """A second later."""
        self.now += timedelta(seconds=1)
        return self.now

    def add(self, *drafts: Draft) -> None:
        """Write events."""
        with self.store.writing() as connection:
            append(connection, drafts, self.tick())

    def grow(self, events: int, seal_every: int) -> None:
        """Write so many events, sealing after each few."""
        for number in range(1, events + 1):
            self.add(draft(number))
            if number % seal_every == 0:
                self.sequencer.seal()

    def subscribed(self) -> None:
        """The account and the subscription that events are of."""
        ends = {"ended_at": None, "decided_by": None, "decided_at": None, "reason": None, "burst": None}
        whose = {"tenant": "default", "principal": "ann"}
        account = {"issuer": None, "subject": None, "webhook": None, "webhook_turn": 0, "closed_at": None}
        with self.store.writing() as connection:
            connection.execute(insert(AccountRow).values(id="acc_1", name="Ann", created_at=AT, **account, **whose))
            connection.execute(
                insert(SubscriptionRow).values(
                    id="sub_1", account_id="acc_1", product="pub.bars", tariff_id=None, state="active", purpose="",
                    unit="rows", quotas="[]", created_at=AT, **ends, **whose,
                )
            )  # fmt: skip

    def meter(self, dimension: str, period: Period, used: int, held: int = 0) -> None:
        """What a meter of `sub_1` says."""
        row = {"subscription_id": "sub_1", "dimension": dimension, "period": period.value, "used": used, "held": held}
        whose = {"tenant": "default", "principal": "ann", "noticed": 0}
        with self.store.writing() as connection:
            connection.execute(insert(MeterRow).values(**row, start=period_start(AT, period), **whose))

    def hold(self, number: int, amounts: Amounts) -> None:
        """A call of `sub_1` that is under way."""
        call = draft(number)
        names = ("account_id", "subscription_id", "key_id", "request_id", "product", "version", "snapshot",
                 "query_digest", "policy_digest", "tariff_id", "unit", "reserved_at", "corrects", "tenant",
                 "principal", "id")  # fmt: skip
        row = {name: getattr(call, name) for name in names}
        counted = {
            "calls": amounts.calls,
            "rows": amounts.rows,
            "bytes": amounts.bytes,
            "compute_ms": amounts.compute_ms,
        }
        with self.store.writing() as connection:
            connection.execute(insert(HoldRow).values(**row, **counted, gateway_id="gw_1"))

    def report(self) -> Report:
        """What verifying finds."""
        return verify(self.store, read_public(self.home / PUBLIC_FILE), self.copy)

    def close(self) -> None:
        self.sequencer.close()
        self.store.close()


@contextmanager
def tampering(home: Path) -> Iterator[sqlite3.Connection]:
    """The book's file, with nothing that keeps its rows from changes."""
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection
    connection.close()
