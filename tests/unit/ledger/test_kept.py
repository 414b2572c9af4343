"""What a meter keeps between its transactions holds for as long as nobody else writes, and for no longer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.meters import AT, Subscriber

from datacanal.domain.metering_errors import KeyRevoked, QuotaExhausted, SubscriptionNotActive, TooManyCalls
from datacanal.domain.usage import Burst
from datacanal.ledger import kept as kept_module
from datacanal.ledger.asks import Ask, ChargeNow
from datacanal.ledger.kept import Kept
from datacanal.ledger.models import BurstRow, KeyRow, SubscriptionRow
from datacanal.ledger.page import Page, Reads
from datacanal.ledger.performing import perform
from datacanal.ledger.prepared import Lookup
from datacanal.ledger.store import LedgerStore


@dataclass
class Writer:
    """Performs as a meter does: one transaction after another, keeping what it read."""

    ann: Subscriber
    kept: Kept

    def do(self, *asks: Ask) -> list[Any]:
        with self.ann.store.turn() as connection:
            return perform(connection, asks, self.ann.now, kept=self.kept)

    def spend(self, rows: int) -> Any:
        [answer] = self.do(ChargeNow(self.ann.charge(rows=rows)))
        return answer


class Breaks:
    """An ask that is a defect of ours."""

    def reads(self, _reads: Reads) -> None: ...

    def act(self, page: Page) -> Any:
        raise ValueError(page)


@pytest.fixture
def ann(any_ledger: LedgerStore) -> Subscriber:
    return Subscriber(any_ledger, burst=Burst(3, 10))


@pytest.fixture
def writer(ann: Subscriber) -> Writer:
    return Writer(ann, Kept())


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were asked for, by each statement."""
    asked: list[int] = []
    look = Lookup.rows

    def rows(self: Lookup, connection: Any, keys: Any) -> Any:
        asked.append(len(keys))
        return look(self, connection, keys)

    monkeypatch.setattr(Lookup, "rows", rows)
    return asked


def is_right(ann: Subscriber, used: int) -> bool:
    return ann.rows() == (used, 0) and sum(event.rows for event in ann.events()) == used


def test_who_writes_alone_reads_the_end_of_the_book_and_the_requests_alone(
    writer: Writer, looked_up: list[int]
) -> None:
    writer.spend(10)
    before = len(looked_up)
    writer.spend(20)
    assert before > 3
    assert [many for many in looked_up[before:] if many] == [1, 1, 1]  # book; events and holds under the request id
    assert is_right(writer.ann, 30)


def test_what_another_spent_counts(writer: Writer, ann: Subscriber) -> None:
    other = Writer(ann, Kept())
    writer.spend(10)
    other.spend(500)
    assert writer.spend(10).left[1].remaining == 9480
    assert is_right(ann, 520)
    assert isinstance(other.spend(9481), TooManyCalls)
    ann.wait(seconds=60)
    assert isinstance(other.spend(9481), QuotaExhausted)
    assert not isinstance(writer.spend(9480), Exception)
    assert is_right(ann, 10_000)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda ann: ann.set(KeyRow, revoked_at=AT), KeyRevoked),
        (lambda ann: ann.set(SubscriptionRow, state="ended", ended_at=AT), SubscriptionNotActive),
        (lambda ann: ann.set(BurstRow, count=3), TooManyCalls),
    ],
)
def test_what_changed_in_between_is_seen(
    writer: Writer, change: Callable[[Subscriber], None], refusal: type[Exception]
) -> None:
    assert not isinstance(writer.spend(1), Exception)
    change(writer.ann)
    assert isinstance(writer.spend(1), refusal)
    assert is_right(writer.ann, 1)


def test_a_transaction_that_broke_leaves_nothing_behind(writer: Writer, ann: Subscriber) -> None:
    writer.spend(10)
    with pytest.raises(ValueError, match="Page"):
        writer.do(ChargeNow(ann.charge(rows=100)), Breaks())
    assert writer.spend(10).left[1].remaining == 9980
    assert is_right(ann, 20)


def test_a_commit_that_did_not_happen_leaves_nothing_behind(writer: Writer, ann: Subscriber) -> None:
    writer.spend(10)
    with suppress(OSError), ann.store.turn() as connection:
        perform(connection, [ChargeNow(ann.charge(rows=100))], ann.now, kept=writer.kept)
        raise OSError
    assert writer.spend(10).left[1].remaining == 9980
    assert is_right(ann, 20)


def test_bursts_that_are_over_are_forgotten_with_their_rows(writer: Writer, ann: Subscriber) -> None:
    writer.spend(1)
    ann.now += timedelta(minutes=1)
    with ann.store.turn() as connection:
        page = Page(connection, ann.now, writer.kept)
        page.bursts.forget_past()
        page.write()
    assert not writer.kept.bursts
    assert not isinstance(writer.spend(1), Exception)
    assert is_right(ann, 2)


def test_only_so_much_is_kept(writer: Writer, ann: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "_MOST", 1)
    for _ in range(3):
        writer.spend(10)
    assert is_right(ann, 30)
