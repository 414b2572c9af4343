"""The acts of the meter on a book: what is charged, what is refused, what is answered again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.meters import AT, Subscriber, is_chained, rows_a_day

from datacanal.domain.errors import IdempotencyConflict, NotFound
from datacanal.domain.metering_errors import (
    BadAmount,
    HoldLost,
    KeyExpired,
    KeyRevoked,
    KeyWrong,
    QuotaExhausted,
    RequestInProgress,
    SubscriptionNotActive,
    TooManyCalls,
)
from datacanal.domain.usage import MOST_AMOUNT, Amounts, Burst, Dimension, Outcome, Period, Quota, internal_terms
from datacanal.ledger.asks import ChargeNow, GiveUp, HoldNow, Settle, Take
from datacanal.ledger.book import Draft, append
from datacanal.ledger.charges import Charge, Charged, Replay
from datacanal.ledger.lives import Beat, Watch
from datacanal.ledger.models import BurstRow, KeyRow, NoticeRow, SubscriptionRow
from datacanal.ledger.store import LedgerStore

CALLS_AN_HOUR = Quota(Dimension.CALLS, 100, Period.HOUR)


@pytest.fixture
def ann(any_ledger: LedgerStore) -> Iterator[Subscriber]:
    ann = Subscriber(any_ledger, quotas=(rows_a_day(10_000), CALLS_AN_HOUR))
    yield ann
    assert is_chained(ann.store)


def test_a_call_stands_in_the_book_and_on_its_meters(ann: Subscriber) -> None:
    charged = ann.one(ChargeNow(ann.charge(rows=10)))
    [event] = ann.events()
    assert isinstance(charged, Charged)
    assert (event.id, event.kind, event.outcome, event.rows, event.units) == (
        charged.receipt, "usage", "complete", 10, 10,
    )  # fmt: skip
    assert (charged.units, charged.at, event.reserved_at) == (10, AT, AT)
    assert {(name[0], name[1]): amounts for name, amounts in ann.meters().items()} == {
        ("rows", "day"): (10, 0),
        ("calls", "hour"): (1, 0),
    }
    [rows, calls] = charged.left
    assert (rows.name, rows.remaining, rows.reset_s, rows.window_s, rows.unit) == (
        "rows-day", 9_990, 12 * 3600, 86_400, "rows",
    )  # fmt: skip
    assert (calls.name, calls.remaining, calls.unit) == ("calls-hour", 99, "")


def test_a_call_that_does_not_fit_is_refused_and_costs_nothing(ann: Subscriber) -> None:
    ann.one(ChargeNow(ann.charge(rows=9_996)))
    with pytest.raises(QuotaExhausted) as refused:
        ann.one(ChargeNow(ann.charge(rows=10)))
    assert refused.value.data == {
        "violated-policies": ["rows-day"],
        "retry_after_s": 12 * 3600,
        "first": "rows-day: 4 of 10000 are left, 10 were asked for",
    }
    assert ann.rows() == (9_996, 0)
    assert len(ann.events()) == 1
    ann.one(ChargeNow(ann.charge(rows=4)))
    assert ann.rows() == (10_000, 0)


def test_all_dimensions_are_charged_or_none(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, quotas=(Quota(Dimension.CALLS, 5, Period.HOUR), rows_a_day(10)))
    for _ in range(2):
        with pytest.raises(QuotaExhausted) as refused:
            ann.one(ChargeNow(ann.charge(rows=11)))
        assert refused.value.data["violated-policies"] == ["rows-day"]
    assert set(ann.meters().values()) <= {(0, 0)}


def test_every_quota_that_is_violated_is_named(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, quotas=(rows_a_day(10), Quota(Dimension.BYTES, 10, Period.MONTH), CALLS_AN_HOUR))
    with pytest.raises(QuotaExhausted) as refused:
        ann.one(ChargeNow(ann.charge(rows=11)))
    assert refused.value.data["violated-policies"] == ["rows-day", "bytes-month"]


def test_what_is_not_asked_for_is_not_refused(any_ledger: LedgerStore) -> None:
    """A quota that was made smaller does not keep away calls that need nothing of it."""
    ann = Subscriber(any_ledger, quotas=(Quota(Dimension.COMPUTE_MS, 0, Period.DAY),))
    ann.one(ChargeNow(ann.charge(amounts=Amounts(1, 10, 10, 0))))
    with pytest.raises(QuotaExhausted):
        ann.one(ChargeNow(ann.charge(amounts=Amounts(1, 10, 10, 1))))


def test_a_refused_call_spoils_no_other_of_its_transaction(ann: Subscriber) -> None:
    answers = ann.do(
        ChargeNow(ann.charge(rows=9_990)),
        ChargeNow(ann.charge(rows=11)),
        ChargeNow(ann.charge(key="key_none")),
        ChargeNow(ann.charge(rows=10)),
    )
    assert [type(each) for each in answers] == [Charged, QuotaExhausted, KeyWrong, Charged]
    assert ann.rows() == (10_000, 0)


def test_a_new_period_begins_with_nothing_used(ann: Subscriber) -> None:
    ann.one(ChargeNow(ann.charge(rows=10_000)))
    ann.wait(hours=12)
    ann.one(ChargeNow(ann.charge(rows=10_000)))
    assert ann.rows() == (10_000, 0)


def test_a_soft_quota_lets_through_and_says_how_far(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, quotas=(rows_a_day(100, soft=True),))
    charged = ann.one(ChargeNow(ann.charge(rows=150)))
    assert (charged.left[0].remaining, charged.left[0].share, charged.left[0].soft) == (0, 1.5, True)


def test_no_sum_grows_beyond_what_databases_count_in(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, quotas=(rows_a_day(100, soft=True),))
    ann.one(ChargeNow(ann.charge(amounts=Amounts(rows=MOST_AMOUNT))))
    with pytest.raises(QuotaExhausted):
        ann.one(ChargeNow(ann.charge(amounts=Amounts(rows=1))))


@pytest.mark.parametrize("amounts", [Amounts(rows=-1), Amounts(bytes=MOST_AMOUNT + 1), Amounts(calls=-(2**70))])
def test_amounts_that_cannot_be_are_refused(ann: Subscriber, amounts: Amounts) -> None:
    for ask in (ChargeNow(ann.charge(amounts=amounts)), HoldNow(ann.charge(amounts=amounts), "gw")):
        with pytest.raises(BadAmount, match="is not between 0 and"):
            ann.one(ask)
    assert ann.events() == []
    assert ann.holds() == []


# ---------------------------------------------------------------- who may call


@pytest.mark.parametrize(
    ("row", "values", "refusal"),
    [
        (KeyRow, {"revoked_at": AT}, KeyRevoked),
        (KeyRow, {"expires_at": AT}, KeyExpired),
        (SubscriptionRow, {"state": "ended"}, SubscriptionNotActive),
        (SubscriptionRow, {"state": "pending"}, SubscriptionNotActive),
    ],
)
def test_who_may_not_call_any_more_is_refused_where_it_is_charged(
    ann: Subscriber, row: type, values: dict[str, object], refusal: type[Exception]
) -> None:
    ann.set(row, **values)
    with pytest.raises(refusal):
        ann.one(ChargeNow(ann.charge()))
    with pytest.raises(refusal):
        ann.one(HoldNow(ann.charge(), "gw"))
    assert ann.events() == []


def test_a_key_that_expires_later_is_good_until_then(ann: Subscriber) -> None:
    ann.set(KeyRow, expires_at=AT + timedelta(seconds=1))
    ann.one(ChargeNow(ann.charge()))
    ann.wait(seconds=1)
    with pytest.raises(KeyExpired):
        ann.one(ChargeNow(ann.charge()))


def test_when_a_key_was_used_is_known_to_the_minute(ann: Subscriber) -> None:
    def last_used() -> object:
        with ann.store.reading_rows() as session:
            return session.scalars(select(KeyRow.last_used_at)).one()

    for seconds, expected in ((0, AT), (59, AT), (1, AT + timedelta(minutes=1))):
        ann.wait(seconds=seconds)
        ann.one(ChargeNow(ann.charge()))
        assert last_used() == expected


def test_more_calls_than_the_burst_are_refused_until_it_is_over(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, burst=Burst(3, 2))
    answers = ann.do(*(ChargeNow(ann.charge()) for _ in range(3)))
    assert [each.left[0].remaining for each in answers] == [2, 1, 0]
    assert answers[2].left[0].name == "burst"
    with pytest.raises(TooManyCalls, match="More than 3 calls came within 2 s"):
        ann.one(ChargeNow(ann.charge()))
    ann.wait(seconds=4)
    assert ann.one(ChargeNow(ann.charge())).left[0].remaining == 2


def test_counters_of_bursts_that_are_over_are_forgotten(any_ledger: LedgerStore) -> None:
    ann = Subscriber(any_ledger, burst=Burst(3))
    kept = []
    for _ in range(3):
        ann.one(ChargeNow(ann.charge()))
        ann.one(Beat("gw", Watch()))
        with any_ledger.reading_rows() as session:
            kept.append(session.query(BurstRow).count())
        ann.wait(seconds=1)
    assert kept == [1, 2, 2]


def test_colleagues_without_a_subscription_are_counted_and_held_to_nothing(ann: Subscriber) -> None:
    terms = internal_terms("acme", "bob", "pub.bars")
    charged = ann.one(ChargeNow(ann.charge(rows=20_000, terms=terms, key=None)))
    assert charged.left == ()
    assert ann.meters() == {}
    with ann.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT account_id, subscription_id, rows FROM events").all() == [
            ("internal:bob", None, 20_000)
        ]


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


# ---------------------------------------------------------------- holds


def hold(ann: Subscriber, rows: int, **more: object) -> Charge:
    charge = ann.charge(rows=rows, **more)
    ann.one(HoldNow(charge, "gw"))
    return charge


def test_what_is_held_is_nobody_elses_until_it_is_settled(ann: Subscriber) -> None:
    held = hold(ann, 9_000)
    assert ann.rows() == (0, 9_000)
    with pytest.raises(QuotaExhausted):
        ann.one(ChargeNow(ann.charge(rows=1_001)))
    charged = ann.one(Settle(held, AT, Amounts(1, 100, 5, 1), Outcome.PARTIAL))
    assert (charged.amounts, charged.units) == (Amounts(1, 100, 5, 1), 100)
    assert ann.rows() == (100, 0)
    assert [(event.id, event.outcome) for event in ann.events()] == [(held.receipt, "partial")]
    assert ann.holds() == []


def test_more_is_taken_only_while_it_is_there(ann: Subscriber) -> None:
    held = hold(ann, 5_000)
    assert ann.one(Take(held, AT, Amounts(rows=5_000, bytes=7))).amounts == held.amounts + Amounts(rows=5_000, bytes=7)
    with pytest.raises(QuotaExhausted):
        ann.one(Take(held, AT, Amounts(rows=1)))
    assert ann.rows() == (0, 10_000)
    with pytest.raises(BadAmount):
        ann.one(Take(held, AT, Amounts(rows=-5)))


def test_no_more_is_charged_than_is_held(ann: Subscriber) -> None:
    held = hold(ann, 10)
    assert ann.one(Settle(held, AT, Amounts(1, 50, 10, 9_999), Outcome.COMPLETE)).amounts == Amounts(1, 10, 10, 5)


def test_an_aborted_answer_costs_nothing(ann: Subscriber) -> None:
    held = hold(ann, 10)
    ann.one(Settle(held, AT, held.amounts, Outcome.ABORTED))
    [event] = ann.events()
    assert (event.kind, event.outcome, event.rows, event.calls, event.units) == ("aborted", "aborted", 0, 0, 0)
    assert ann.rows() == (0, 0)


def test_a_hold_counts_in_the_period_that_it_was_made_in(ann: Subscriber) -> None:
    held = hold(ann, 4_000)
    ann.wait(hours=13)
    ann.one(Take(held, AT, Amounts(rows=1_000)))
    with pytest.raises(QuotaExhausted):
        ann.one(Take(held, AT, Amounts(rows=5_001)))
    ann.one(Settle(held, AT, Amounts(1, 4_500, 1, 1), Outcome.COMPLETE))
    today = AT.replace(hour=0)
    assert ann.meters()["rows", "day", today] == (4_500, 0)
    [event] = ann.events()
    assert (event.reserved_at, event.at) == (AT, AT + timedelta(hours=13))


def test_holding_settling_and_charging_share_a_transaction(ann: Subscriber) -> None:
    first, second = ann.charge(rows=6_000), ann.charge(rows=6_000)
    answers = ann.do(
        HoldNow(first, "gw"),
        HoldNow(second, "gw"),
        Take(first, AT, Amounts(rows=1_000)),
        Settle(first, AT, Amounts(1, 3_000, 1, 1), Outcome.PARTIAL),
        HoldNow(second, "gw"),
    )
    assert [type(each) for each in answers] == [Charged, QuotaExhausted, Charged, Charged, Charged]
    assert ann.rows() == (3_000, 6_000)
    assert [each.id for each in ann.holds()] == [second.receipt]


def test_a_hold_that_was_given_up_is_lost(ann: Subscriber) -> None:
    held = hold(ann, 10)
    assert ann.one(GiveUp("gw")) == 1
    for ask in (Settle(held, AT, Amounts(1), Outcome.COMPLETE), Take(held, AT, Amounts(1)), HoldNow(held, "gw")):
        with pytest.raises(HoldLost):
            ann.one(ask)
    assert [(event.id, event.request_id, event.kind) for event in ann.events()] == [
        (held.receipt, held.request, "aborted")
    ]
    assert ann.rows() == (0, 0)


def test_a_settlement_whose_commit_was_not_heard_of_is_found_again(ann: Subscriber) -> None:
    held = hold(ann, 10)
    first = ann.one(Settle(held, AT, Amounts(1, 5, 5, 5), Outcome.PARTIAL))
    assert ann.one(Settle(held, AT, Amounts(1, 5, 5, 5), Outcome.PARTIAL)) == first
    assert len(ann.events()) == 1


def test_a_hold_whose_commit_was_not_heard_of_is_found_again(ann: Subscriber) -> None:
    charge = ann.charge(rows=10)
    first = ann.one(HoldNow(charge, "gw"))
    ann.wait(seconds=1)
    assert ann.one(HoldNow(charge, "gw")).at == first.at
    assert ann.rows() == (0, 10)


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


# ---------------------------------------------------------------- meters and notices


def test_a_meter_that_is_new_in_the_middle_counts_what_was_used_and_is_held(ann: Subscriber) -> None:
    """The publisher agreed to another quota; so did one of the calls of the same transaction."""
    ann.one(ChargeNow(ann.charge(amounts=Amounts(1, 1, 100, 0))))
    by_bytes = Quota(Dimension.BYTES, 1_000, Period.MONTH)
    terms = ann.charge().terms.__class__("acme", "acc_1", "sub_1", "pub.bars", quotas=(by_bytes,))
    ann.do(
        HoldNow(ann.charge(amounts=Amounts(1, 1, 200, 0)), "gw"),
        ChargeNow(ann.charge(amounts=Amounts(1, 1, 300, 0))),
        ChargeNow(ann.charge(amounts=Amounts(1, 1, 400, 0), terms=terms)),
    )
    assert ann.meters()["bytes", "month", AT.replace(day=1, hour=0)] == (800, 200)
    with pytest.raises(QuotaExhausted):
        ann.one(ChargeNow(ann.charge(amounts=Amounts(1, 1, 1, 0), terms=terms)))


def test_what_others_append_is_counted(ann: Subscriber) -> None:
    ann.one(ChargeNow(ann.charge(rows=100)))
    [event] = ann.events()
    given_back = Draft(
        id="adj_1", kind="adjust", outcome="complete", tenant="acme", principal="ann", account_id="acc_1",
        request_id="adjust:1", reserved_at=event.reserved_at, unit="rows", subscription_id="sub_1", rows=-40, units=-40,
    )  # fmt: skip
    with ann.store.writing() as connection:
        append(connection, [given_back], ann.now)
    assert ann.rows() == (60, 0)


def test_an_account_is_told_once_of_80_and_of_100_percent(ann: Subscriber) -> None:
    def causes() -> list[str]:
        with ann.store.reading_rows() as session:
            return [row.cause.rpartition(":")[2] for row in session.scalars(select(NoticeRow).order_by(NoticeRow.id))]

    seen = []
    for rows in (7_999, 1, 1_999, 1, 0):
        ann.wait(seconds=1)
        ann.one(ChargeNow(ann.charge(rows=rows)))
        seen.append(causes())
    assert seen == [[], ["80"], ["80"], ["80", "100"], ["80", "100"]]


def test_a_notice_says_what_is_used_of_what(ann: Subscriber) -> None:
    ann.one(ChargeNow(ann.charge(rows=8_000)))
    with ann.store.reading_rows() as session:
        [notice] = session.scalars(select(NoticeRow))
    body = json.loads(notice.body)
    said = body.get("data", body)
    assert (notice.account_id, notice.state, notice.due_at) == ("acc_1", "waiting", AT)
    assert {name: said[name] for name in ("subscription", "quota", "used", "amount", "percent")} == {
        "subscription": "sub_1", "quota": "rows-day", "used": 8_000, "amount": 10_000, "percent": 80,
    }  # fmt: skip


def test_who_has_no_webhook_is_not_written_to(ann: Subscriber) -> None:
    with ann.store.changing() as session:
        session.connection().exec_driver_sql("UPDATE accounts SET webhook = NULL")
    ann.one(ChargeNow(ann.charge(rows=10_000)))
    with ann.store.reading_rows() as session:
        assert session.scalars(select(NoticeRow)).all() == []
