"""Notices in the book: taken once at a time, put off, given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from datacanal.ledger.models import AccountRow, NoticeRow
from datacanal.ledger.notices import (
    CLAIM,
    Addressee,
    NewNotice,
    Notice,
    is_any_due,
    make_due,
    mark_delivered,
    newest,
    put_off,
    take_due,
    write_notice,
)
from datacanal.ledger.store import LedgerStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOON + timedelta(minutes=5)


def account(ledger: LedgerStore, name: str, webhook: str | None = "https://hooks.example/") -> None:
    row = AccountRow(
        id=name, tenant="default", principal=name, name=name, webhook=webhook, webhook_turn=3,
        issuer=None, subject=None, created_at=NOON, closed_at=None,
    )  # fmt: skip
    with ledger.writing_rows() as session:
        session.add(row)


def note(ledger: LedgerStore, whose: str, notice: str, cause: str | None = None, at: datetime = NOON) -> None:
    with ledger.writing() as connection:
        new = NewNotice(notice, cause or notice, "quota.reached", {"say": "配额 80 %"})
        write_notice(connection, Addressee(whose, "default", whose), new, at)


def take(ledger: LedgerStore, at: datetime = NOON, most: int = 8, busy: tuple[str, ...] = ()) -> list[Notice]:
    with ledger.writing() as connection:
        return take_due(connection, at, most, busy)


def ids(notices: list[Notice]) -> list[str]:
    return sorted(notice.id for notice in notices)


def state(ledger: LedgerStore, notice: str) -> NoticeRow:
    with ledger.reading_rows() as session:
        return session.scalars(select(NoticeRow).where(NoticeRow.id == notice)).one()


def test_a_taken_notice_has_all_that_a_delivery_needs(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    note(any_ledger, "a", "n1")
    (taken,) = take(any_ledger)
    assert (taken.id, taken.account, taken.url, taken.turn) == ("n1", "a", "https://hooks.example/", 3)
    assert taken.attempts == 1
    assert taken.body.decode() == (
        '{"type":"quota.reached","timestamp":"2026-03-01T12:00:00.000+00:00","data":{"say":"配额 80 %"}}'
    )


def test_a_cause_is_noted_once_for_an_account(any_ledger: LedgerStore) -> None:
    for each in ("a", "b"):
        account(any_ledger, each)
        note(any_ledger, each, f"n_{each}", "quota:80")
    with pytest.raises(IntegrityError):
        note(any_ledger, "a", "n_again", "quota:80")


def test_of_an_account_one_is_taken_and_of_a_busy_one_none(any_ledger: LedgerStore) -> None:
    for each in ("a", "b", "c"):
        account(any_ledger, each)
        note(any_ledger, each, f"n1{each}")
        note(any_ledger, each, f"n2{each}")
    assert ids(take(any_ledger, busy=("b",))) == ["n1a", "n1c"]


def test_no_more_are_taken_than_were_asked_for(any_ledger: LedgerStore) -> None:
    for number in range(5):
        account(any_ledger, f"a{number}")
        note(any_ledger, f"a{number}", f"n{number}")
    taken = [ids(take(any_ledger, most=2)) for _ in range(4)]
    assert [len(each) for each in taken] == [2, 2, 1, 0]
    assert sorted(each for some in taken for each in some) == [f"n{number}" for number in range(5)]


def test_what_was_taken_and_not_marked_is_due_again_when_the_claim_ends(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    note(any_ledger, "a", "n1")
    assert ids(take(any_ledger)) == ["n1"]
    assert take(any_ledger, NOON + CLAIM - timedelta(milliseconds=1)) == []
    (again,) = take(any_ledger, NOON + CLAIM)
    assert (again.id, again.attempts) == ("n1", 2)


def test_a_delivered_notice_is_never_due_again(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    note(any_ledger, "a", "n1")
    (taken,) = take(any_ledger)
    with any_ledger.writing() as connection:
        mark_delivered(connection, taken, SOON)
    assert take(any_ledger, NOON + timedelta(hours=30)) == []
    assert (state(any_ledger, "n1").state, state(any_ledger, "n1").delivered_at) == ("delivered", SOON)


def test_a_receiver_that_failed_is_left_alone_with_all_its_notices(any_ledger: LedgerStore) -> None:
    for each in ("a", "b"):
        account(any_ledger, each)
        note(any_ledger, each, f"n1{each}")
        note(any_ledger, each, f"n2{each}")
    taken = {notice.account: notice for notice in take(any_ledger)}
    with any_ledger.writing() as connection:
        put_off(connection, taken["a"], "x" * 9999, SOON)
    assert ids(take(any_ledger, SOON - timedelta(seconds=1))) == ["n1b"]
    assert ids(take(any_ledger, SOON)) == ["n1a", "n2b"]
    assert len(state(any_ledger, "n1a").problem or "") == 500


def test_another_address_makes_everything_due(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    note(any_ledger, "a", "n1")
    (taken,) = take(any_ledger)
    with any_ledger.writing() as connection:
        put_off(connection, taken, "no", SOON)
        make_due(connection, "a", NOON)
    assert ids(take(any_ledger)) == ["n1"]


def test_after_a_day_a_notice_is_given_up_whether_there_is_a_receiver_or_not(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    account(any_ledger, "b", webhook=None)
    for each in ("a", "b"):
        note(any_ledger, each, f"n{each}")
    late = NOON + timedelta(hours=24, seconds=1)
    with any_ledger.reading() as connection:
        assert is_any_due(connection, late, ())
    assert take(any_ledger, late) == []
    assert {state(any_ledger, f"n{each}").state for each in ("a", "b")} == {"failed"}
    with any_ledger.reading() as connection:
        assert not is_any_due(connection, late, ())


def test_without_a_receiver_nothing_is_due(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a", webhook=None)
    note(any_ledger, "a", "n1")
    with any_ledger.reading() as connection:
        assert not is_any_due(connection, NOON, ())
    assert take(any_ledger) == []


def test_what_only_waits_behind_another_of_its_receiver_is_not_due(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    note(any_ledger, "a", "n1")
    with any_ledger.reading() as connection:
        assert is_any_due(connection, NOON, ("b",))
        assert not is_any_due(connection, NOON, ("a", "b"))


def test_the_newest_come_first(any_ledger: LedgerStore) -> None:
    account(any_ledger, "a")
    for number in range(5):
        note(any_ledger, "a", f"n{number}", at=NOON + timedelta(seconds=number // 2))
    with any_ledger.reading() as connection:
        assert [row.id for row in newest(connection, "a", 3)] == ["n4", "n3", "n2"]
