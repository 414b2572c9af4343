"""A request that comes again is answered from the first one; what that did not deliver is charged when it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.meters import AT, Subscriber, hold, is_chained, rows_a_day

from datacanal.domain.errors import IdempotencyConflict, NotFound
from datacanal.domain.metering_errors import (
    RequestInProgress,
)
from datacanal.domain.usage import Amounts, Dimension, Outcome, Period, Quota
from datacanal.ledger.asks import ChargeNow, GiveUp, HoldNow, Settle
from datacanal.ledger.charges import Charge, Charged, Replay
from datacanal.ledger.models import SubscriptionRow
from datacanal.ledger.store import LedgerStore

CALLS_AN_HOUR = Quota(Dimension.CALLS, 100, Period.HOUR)


@pytest.fixture
def ann(any_ledger: LedgerStore) -> Iterator[Subscriber]:
    ann = Subscriber(any_ledger, quotas=(rows_a_day(10_000), CALLS_AN_HOUR))
    yield ann
    assert is_chained(ann.store)


# ---------------------------------------------------------------- the same request again


def test_a_repeated_key_is_answered_from_the_first_and_costs_nothing(ann: Subscriber) -> None:
    first = ann.charge(request="key:a")
    ann.one(ChargeNow(first))
    again = ann.one(ChargeNow(ann.charge(request="key:a", rows=99)))
    assert again == Replay(
        first.receipt, "pub.bars", "1.0.0", "snp_1", first.amounts, 10, is_complete=True, query="q" * 64
    )
    assert ann.one(HoldNow(ann.charge(request="key:a"), "gw")) == again
    assert len(ann.events()) == 1


def test_a_repeated_key_is_known_after_all_of_its_quota_and_its_right_are_gone(ann: Subscriber) -> None:
    ann.one(ChargeNow(ann.charge(request="key:a", rows=10_000)))
    ann.set(SubscriptionRow, state="ended")
    assert isinstance(ann.one(ChargeNow(ann.charge(request="key:a"))), Replay)


@pytest.mark.parametrize("ask", [ChargeNow, lambda charge: HoldNow(charge, "gw")])
def test_another_query_under_a_key_is_a_conflict(ann: Subscriber, ask: type[ChargeNow]) -> None:
    ann.one(ask(ann.charge(request="key:a")))
    for other in ({"query": "r" * 64}, {"terms": ann.charge().terms.__class__("acme", "acc_1", "sub_1", "pub.ticks")}):
        with pytest.raises(IdempotencyConflict) as refused:
            ann.one(ChargeNow(ann.charge(request="key:a", **other)))
        assert refused.value.data == {"key": "a"}


def test_the_same_key_twice_in_a_transaction_is_one_charge(ann: Subscriber) -> None:
    answers = ann.do(*(ChargeNow(ann.charge(request="key:a")) for _ in range(3)))
    assert [type(each) for each in answers] == [Charged, Replay, Replay]
    assert len(ann.events()) == 1


def test_two_accounts_may_use_the_same_key(ann: Subscriber) -> None:
    bob = Subscriber(ann.store, "2")
    ann.one(ChargeNow(ann.charge(request="key:a")))
    assert isinstance(bob.one(ChargeNow(bob.charge(request="key:a", query="r" * 64))), Charged)


def test_a_key_is_busy_while_its_answer_is_sent(ann: Subscriber) -> None:
    ann.one(HoldNow(ann.charge(request="key:a"), "gw"))
    for ask in (ChargeNow(ann.charge(request="key:a")), HoldNow(ann.charge(request="key:a"), "gw")):
        with pytest.raises(RequestInProgress):
            ann.one(ask)


def test_a_charge_whose_commit_was_not_heard_of_is_found_again(ann: Subscriber) -> None:
    charge = ann.charge()
    first = ann.one(ChargeNow(charge))
    assert ann.one(ChargeNow(charge)) == first
    assert len(ann.events()) == 1


# ---------------------------------------------------------------- completing what was broken off


def broken(ann: Subscriber, rows: int = 4) -> Charge:
    held = hold(ann, 10, request="key:a")
    ann.one(Settle(held, AT, Amounts(1, rows, 4, 4), Outcome.PARTIAL))
    return held


def test_what_was_broken_off_is_completed_for_what_was_not_paid(ann: Subscriber) -> None:
    first = broken(ann)
    replay = ann.one(ChargeNow(ann.charge(request="key:a")))
    assert replay == Replay(
        first.receipt, "pub.bars", "1.0.0", "snp_1", Amounts(1, 4, 4, 4), 4, is_complete=False, query="q" * 64
    )
    rest = ann.charge(request="key:a", amounts=Amounts(0, 6, 6, 0), completes=replay.receipt)
    ann.one(ChargeNow(rest))
    _, event = ann.events()
    assert (event.request_id, event.corrects, event.rows) == ("2#key:a", first.receipt, 6)
    assert ann.one(ChargeNow(ann.charge(request="key:a"))) == Replay(
        rest.receipt, "pub.bars", "1.0.0", "snp_1", Amounts(1, 10, 10, 4), 10, is_complete=True, query="q" * 64
    )


def test_of_two_completions_one_is_charged(ann: Subscriber) -> None:
    first = broken(ann)
    rest = {"request": "key:a", "amounts": Amounts(0, 6, 6, 0), "completes": first.receipt}
    answers = ann.do(ChargeNow(ann.charge(**rest)), ChargeNow(ann.charge(**rest)))
    assert [type(each) for each in answers] == [Charged, Replay]
    assert answers[1].is_complete
    assert ann.rows() == (10, 0)


def test_of_two_completing_streams_one_goes_on(ann: Subscriber) -> None:
    first = broken(ann)
    rest = {"request": "key:a", "amounts": Amounts(0, 6, 6, 0), "completes": first.receipt}
    second = ann.charge(**rest)
    ann.one(HoldNow(second, "gw"))
    with pytest.raises(RequestInProgress):
        ann.one(HoldNow(ann.charge(**rest), "gw"))
    ann.one(Settle(second, AT, Amounts(0, 2, 2, 0), Outcome.PARTIAL))
    stale = ann.one(ChargeNow(ann.charge(**rest)))
    assert (stale.receipt, stale.amounts.rows, stale.is_complete) == (second.receipt, 6, False)
    ann.one(ChargeNow(ann.charge(request="key:a", amounts=Amounts(0, 4, 4, 0), completes=second.receipt)))
    assert ann.rows() == (10, 0)
    assert [event.request_id for event in ann.events()] == ["key:a", "2#key:a", "3#key:a"]
    assert {event.corrects for event in ann.events()} == {None, first.receipt}


def test_a_clients_key_never_is_that_of_a_completion(ann: Subscriber) -> None:
    first = broken(ann)
    ann.one(ChargeNow(ann.charge(request="key:a", amounts=Amounts(0, 6), completes=first.receipt)))
    for other in ("key:2#key:a", "key:a#2"):
        assert isinstance(ann.one(ChargeNow(ann.charge(request=other))), Charged)


def test_what_the_book_does_not_know_cannot_be_completed(ann: Subscriber) -> None:
    with pytest.raises(NotFound):
        ann.one(ChargeNow(ann.charge(request="key:a", completes="rcp_none")))


def test_what_was_given_up_is_completed_whole(ann: Subscriber) -> None:
    held = hold(ann, 10, request="key:a")
    ann.one(GiveUp("gw"))
    replay = ann.one(ChargeNow(ann.charge(request="key:a")))
    assert (replay.is_complete, replay.amounts) == (False, Amounts())
    ann.one(ChargeNow(ann.charge(request="key:a", completes=held.receipt)))
    assert ann.rows() == (10, 0)
