"""Account, subscription, keys, quotas and ledger against a model of lists and dicts, one step after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import insert, select, update
from tests.meters import AT, Subscriber

from datacanal.domain.chain import FIELDS, digest, follow
from datacanal.domain.errors import IdempotencyConflict
from datacanal.domain.metering_errors import (
    HoldLost,
    KeyRevoked,
    QuotaExhausted,
    RequestInProgress,
    SubscriptionNotActive,
)
from datacanal.domain.usage import Amounts, Dimension, EventKind, Outcome, Period, Quota, period_start
from datacanal.ledger.asks import Ask, ChargeNow, GiveUp, HoldNow, Settle, Take
from datacanal.ledger.book import Draft, append
from datacanal.ledger.chain import stored
from datacanal.ledger.charges import Charge, Charged, Replay
from datacanal.ledger.models import BookRow, EventRow, HoldRow, KeyRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore

QUOTAS = (
    Quota(Dimension.ROWS, 100, Period.DAY),
    Quota(Dimension.CALLS, 12, Period.HOUR),
    Quota(Dimension.BYTES, 500, Period.MONTH, soft=True),
)
GATEWAYS, KEYS, REQUESTS = ("gw_1", "gw_2"), ("first", "second"), ("key:a", "key:b", "key:c")
NOTHING = Amounts()
rows = st.integers(0, 60)


@dataclass
class Event:
    """What the model has of an event."""

    receipt: str
    kind: EventKind
    outcome: Outcome
    amounts: Amounts
    reserved_at: datetime


@dataclass
class Model:
    """What the book should say."""

    events: list[Event] = field(default_factory=list)
    holds: dict[str, tuple[str, Charge, Amounts, datetime]] = field(default_factory=dict)
    requests: dict[str, list[Event]] = field(default_factory=dict)
    is_active: bool = True
    revoked: set[str] = field(default_factory=set)

    def taken(self, quota: Quota, at: datetime) -> int:
        used, held = self.meter(quota, at)
        return used + held

    def meter(self, quota: Quota, at: datetime) -> tuple[int, int]:
        start = period_start(at, quota.period)
        used = [each.amounts for each in self.events if period_start(each.reserved_at, quota.period) == start]
        held = [amounts for _, _, amounts, since in self.holds.values() if period_start(since, quota.period) == start]
        return sum(each.of(quota.dimension) for each in used), sum(each.of(quota.dimension) for each in held)

    def fits(self, asked: Amounts, at: datetime) -> bool:
        return all(
            quota.soft
            or asked.of(quota.dimension) == 0
            or self.taken(quota, at) + asked.of(quota.dimension) <= quota.amount
            for quota in QUOTAS
        )

    def is_under_way(self, request: str) -> bool:
        return any(charge.request == request for _, charge, _, _ in self.holds.values())

    def refusal(self, charge: Charge, now: datetime) -> type[Any] | None:
        """What a new call comes to, None where it is taken."""
        chain = self.requests.get(charge.request, [])
        if chain and charge.query != "q" * 64:
            return IdempotencyConflict
        if chain and (chain[-1].outcome is Outcome.COMPLETE or charge.completes != chain[-1].receipt):
            return Replay
        if self.is_under_way(charge.request):
            return RequestInProgress if charge.query == "q" * 64 else IdempotencyConflict
        if charge.key is not None and charge.key.rpartition("_")[2] in self.revoked:
            return KeyRevoked
        if not self.is_active:
            return SubscriptionNotActive
        return None if self.fits(charge.amounts, now) else QuotaExhausted

    def record(self, charge: Charge, kind: EventKind, outcome: Outcome, amounts: Amounts, at: datetime) -> None:
        event = Event(charge.receipt, kind, outcome, amounts, at)
        self.events.append(event)
        self.requests.setdefault(charge.request, []).append(event)


class Metering(RuleBasedStateMachine):
    """One subscriber of a book that other runs wrote in before."""

    store: LedgerStore
    names: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.ann = Subscriber(self.store, f"{next(self.names)}", quotas=QUOTAS)
        self.model = Model()
        self.old: list[tuple[Charge, datetime]] = []
        self.corrections = itertools.count()

    @initialize()
    def two_keys(self) -> None:
        self._as_key("first")
        for name in KEYS:
            whose = {"tenant": "acme", "principal": "ann", "created_at": AT}
            held = {"mode": "live", "digest": "d", "last_four": "abcd", "scopes": "[]", "name": name}
            with self.store.writing() as connection:
                connection.execute(
                    insert(KeyRow).values(
                        id=self._as_key(name), subscription_id=self.ann.terms.subscription, **held, **whose
                    )
                )
        with self.store.reading() as connection:
            self.seq, self.head = connection.execute(select(BookRow.seq, BookRow.head)).one()

    # ------------------------------------------------------------ calls

    @rule(each=st.lists(st.tuples(rows, st.sampled_from(KEYS)), min_size=1, max_size=5))
    def calls(self, each: list[tuple[int, str]]) -> None:
        """Whole answers, charged in one transaction."""
        charges = [self._charge(amount, key) for amount, key in each]
        expected = [self._expected_charge(charge) for charge in charges]
        answers = self.ann.do(*(ChargeNow(charge) for charge in charges))
        assert [type(answer) for answer in answers] == expected

    @rule(request=st.sampled_from(REQUESTS), amount=rows, is_other=st.booleans())
    def call_under_a_key(self, request: str, amount: int, is_other: bool) -> None:
        charge = self._charge(amount, "first", request=request, query=("r" if is_other else "q") * 64)
        if charge.request in self.model.requests or not is_other or self.model.is_under_way(request):
            expected = self._expected_charge(charge)
            [answer] = self.ann.do(ChargeNow(charge))
            assert type(answer) is expected
            if isinstance(answer, Replay):
                assert answer.amounts == _sum(self.model.requests[request])

    @rule(request=st.sampled_from(REQUESTS), amount=rows, is_stream=st.booleans(), is_last=st.booleans())
    def complete(self, request: str, amount: int, is_stream: bool, is_last: bool) -> None:
        """Under the last receipt of the key, or under the first."""
        chain = self.model.requests.get(request)
        if chain:
            charge = self._charge(amount, "first", request=request, completes=chain[-1 if is_last else 0].receipt)
            self._stream(charge, "gw_1") if is_stream else self._whole(charge)

    # ------------------------------------------------------------ streams

    @rule(amount=rows, key=st.sampled_from(KEYS), gateway=st.sampled_from(GATEWAYS))
    def hold(self, amount: int, key: str, gateway: str) -> None:
        self._stream(self._charge(amount, key), gateway)

    @rule(amount=rows, request=st.sampled_from(REQUESTS), gateway=st.sampled_from(GATEWAYS))
    def hold_under_a_key(self, amount: int, request: str, gateway: str) -> None:
        self._stream(self._charge(amount, "first", request=request), gateway)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), amount=rows)
    def take(self, data: st.DataObject, amount: int) -> None:
        receipt = data.draw(st.sampled_from(sorted(self.model.holds)))
        gateway, charge, amounts, at = self.model.holds[receipt]
        more = Amounts(0, amount, amount, 1)
        expected = Charged if self.model.fits(more, at) else QuotaExhausted
        [answer] = self.ann.do(Take(charge, at, more))
        assert type(answer) is expected
        if expected is Charged:
            self.model.holds[receipt] = (gateway, charge, amounts + more, at)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data(), amount=rows, outcome=st.sampled_from(Outcome))
    def settle(self, data: st.DataObject, amount: int, outcome: Outcome) -> None:
        receipt = data.draw(st.sampled_from(sorted(self.model.holds)))
        _, charge, held, at = self.model.holds[receipt]
        sent = Amounts(held.calls, min(held.rows, amount), min(held.bytes, amount), 0)
        answer = self.ann.one(Settle(charge, at, Amounts(held.calls, amount, amount, 0), outcome))
        self._end(receipt, NOTHING if outcome is Outcome.ABORTED else sent, outcome)
        assert answer.amounts == self.model.events[-1].amounts

    @rule(gateway=st.sampled_from(GATEWAYS))
    def crash_and_recover(self, gateway: str) -> None:
        lost = [receipt for receipt, (whose, *_) in self.model.holds.items() if whose == gateway]
        self._mine(GiveUp(gateway), len(lost))
        self.old += [self.model.holds[receipt][1::2] for receipt in lost]
        for receipt in sorted(lost):
            self._end(receipt, NOTHING, Outcome.ABORTED)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def settle_what_was_given_up(self, data: st.DataObject) -> None:
        charge, at = data.draw(st.sampled_from(self.old))
        for ask in (Settle(charge, at, charge.amounts, Outcome.COMPLETE), Take(charge, at, charge.amounts)):
            [answer] = self.ann.do(ask)
            assert type(answer) is HoldLost

    # ------------------------------------------------------------ what changes around them

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.ann.wait(hours=hours)

    @precondition(lambda self: not self.model.revoked)
    @rule(key=st.sampled_from(KEYS))
    def revoke(self, key: str) -> None:
        self.model.revoked.add(key)
        with self.store.changing() as session:
            session.execute(update(KeyRow).where(KeyRow.id == self._as_key(key)).values(revoked_at=self.ann.now))

    @rule()
    def end_or_begin_the_subscription(self) -> None:
        self.model.is_active = not self.model.is_active
        state = "active" if self.model.is_active else "ended"
        with self.store.changing() as session:
            mine = update(SubscriptionRow).where(SubscriptionRow.id == self.ann.terms.subscription)
            session.execute(mine.values(state=state))

    @precondition(lambda self: any(event.amounts.rows for event in self.model.events))
    @rule(data=st.data())
    def adjust(self, data: st.DataObject) -> None:
        """Rows are given back."""
        event = data.draw(st.sampled_from([event for event in self.model.events if event.amounts.rows > 0]))
        number = next(self.corrections)
        charge = self._charge(0, "first", request=f"adjust:{number}")
        back = Amounts(0, -event.amounts.rows, 0, 0)
        terms = self.ann.terms
        draft = Draft(
            id=charge.receipt, kind=EventKind.ADJUST, outcome=Outcome.COMPLETE, tenant=terms.tenant, principal="ops",
            account_id=terms.account, request_id=charge.request, reserved_at=event.reserved_at, unit="rows",
            subscription_id=terms.subscription, rows=back.rows, units=back.rows, corrects=event.receipt,
        )  # fmt: skip
        with self.store.writing() as connection:
            append(connection, [draft], self.ann.now)
        self.model.record(charge, EventKind.ADJUST, Outcome.COMPLETE, back, event.reserved_at)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def meters_are_the_sums_and_nothing_is_over_its_quota(self) -> None:
        quotas = {(each.dimension.value, each.period.value): each for each in QUOTAS}
        for (dimension, period, start), (used, held) in self.ann.meters().items():
            quota = quotas[dimension, period]
            assert (used, held) == self.model.meter(quota, start), (quota.name, start)
            assert quota.soft or used + held <= quota.amount

    @invariant()
    def every_receipt_is_in_the_book_once(self) -> None:
        with self.store.reading() as connection:
            mine = select(EventRow.id, EventRow.kind, EventRow.outcome, EventRow.rows, EventRow.units)
            found = connection.execute(mine.where(EventRow.account_id == self.ann.terms.account)).all()
            held = connection.scalars(select(HoldRow.id).where(HoldRow.account_id == self.ann.terms.account)).all()
        assert sorted(map(tuple, found)) == sorted(
            (each.receipt, each.kind, each.outcome, each.amounts.rows, each.amounts.rows) for each in self.model.events
        )
        assert sorted(held) == sorted(self.model.holds)

    @invariant()
    def the_chain_is_whole(self) -> None:
        if not hasattr(self, "seq"):
            return
        with self.store.reading() as connection:
            since = select(EventRow.__table__).where(EventRow.seq > self.seq).order_by(EventRow.seq)
            for row in connection.execute(since):
                assert row.seq == self.seq + 1
                told = digest(stored([row._mapping[name] for name in FIELDS]))
                self.seq, self.head = row.seq, follow(self.head, told)
                assert row.hash == self.head
            assert connection.execute(select(BookRow.seq, BookRow.head)).one() == (self.seq, self.head)

    def teardown(self) -> None:
        for receipt in list(self.model.holds):
            _, charge, _, at = self.model.holds.pop(receipt)
            self.ann.one(Settle(charge, at, NOTHING, Outcome.ABORTED))

    # ------------------------------------------------------------ how it is done

    def _as_key(self, name: str) -> str:
        return f"{self.ann.key}_{name}"

    def _charge(self, amount: int, key: str, **more: Any) -> Charge:
        return self.ann.charge(key=self._as_key(key), amounts=Amounts(1, amount, amount, 0), **more)

    def _expected_charge(self, charge: Charge) -> type[Any]:
        refusal = self.model.refusal(charge, self.ann.now)
        if refusal is None:
            self.model.record(charge, EventKind.USAGE, Outcome.COMPLETE, charge.amounts, self.ann.now)
        return refusal or Charged

    def _whole(self, charge: Charge) -> None:
        expected = self._expected_charge(charge)
        [answer] = self.ann.do(ChargeNow(charge))
        assert type(answer) is expected

    def _stream(self, charge: Charge, gateway: str) -> None:
        expected = self.model.refusal(charge, self.ann.now) or Charged
        [answer] = self.ann.do(HoldNow(charge, gateway))
        assert type(answer) is expected
        if expected is Charged:
            self.model.holds[charge.receipt] = (gateway, charge, charge.amounts, self.ann.now)

    def _end(self, receipt: str, sent: Amounts, outcome: Outcome) -> None:
        _, charge, _, at = self.model.holds.pop(receipt)
        kind = EventKind.ABORTED if outcome is Outcome.ABORTED else EventKind.USAGE
        self.model.record(charge, kind, outcome, sent, at)

    def _mine(self, ask: Ask, expected: int) -> None:
        assert self.ann.one(ask) == expected


def _sum(events: list[Event]) -> Amounts:
    total = NOTHING
    for event in events:
        total += event.amounts
    return total


def run_metering(store: LedgerStore, runs: int) -> None:
    """So many runs of up to 25 steps; what hypothesis prints for a failure replays it."""

    class Run(Metering):
        pass

    Run.store = store
    Run.names = itertools.count(1)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Run, settings=settings(max_examples=runs, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    )
