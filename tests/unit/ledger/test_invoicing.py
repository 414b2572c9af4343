"""Invoices and credit notes: projections of the book, issued once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.money import BEGUN, DECEMBER, NOVEMBER, OCTOBER, MoneyBook, tariff

from datacanal.domain.metering_errors import NothingToCredit, PeriodOpen
from datacanal.domain.months import month_named
from datacanal.ledger.invoices import close_period, credit, invoice_in, previews
from datacanal.ledger.models import BookRow, InvoiceRow
from datacanal.protocol.money import Invoice

CLOSED_AT = datetime(2026, 11, 3, tzinfo=UTC)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[MoneyBook]:
    made = MoneyBook(tmp_path)
    yield made
    made.store.close()


def close(book: MoneyBook, month: str = "2026-10", at: datetime = CLOSED_AT) -> list[Invoice]:
    """Everything that was issued by then."""
    with book.store.writing_rows() as session:
        close_period(session, month_named(month), at, book.new_id)
    return issued(book)


def issued(book: MoneyBook) -> list[Invoice]:
    with book.store.reading_rows() as session:
        return [invoice_in(row) for row in session.scalars(select(InvoiceRow).order_by(InvoiceRow.id))]


def noted(book: MoneyBook, invoice: Invoice, at: datetime = NOVEMBER) -> Invoice:
    with book.store.writing_rows() as session:
        return credit(session, session.get_one(InvoiceRow, invoice.id), "they were wrong", at, book.new_id)


def preview(book: MoneyBook, account: str, month: str) -> list[Invoice]:
    with book.store.reading_rows() as session:
        return previews(session, account, month_named(month))


def said(invoice: Invoice) -> list[tuple[str, int, str]]:
    return [(line.item, line.units, line.amount) for line in invoice.lines]


def test_an_invoice_has_the_flat_fee_and_the_units_of_its_month(book: MoneyBook) -> None:
    account = book.account()
    subscription = book.subscription(account, book.tariff(tariff(flat="100", included=50)))
    for units in (30, 40):
        book.use(subscription, units, OCTOBER)
    book.use(subscription, 1000, NOVEMBER)
    (september, october) = close(book)
    assert (september.number, september.total, said(september)) == (
        "INV-2026-09-000001", "100.00", [("flat", 1, "100.00")],
    )  # fmt: skip
    assert said(october) == [("flat", 1, "100.00"), ("included", 50, "0.00"), ("units", 20, "0.20")]
    assert (october.number, october.total, october.seller, october.currency) == (
        "INV-2026-10-000001", "100.20", "ann", "CNY",
    )  # fmt: skip
    assert (october.account.id, october.account.name) == (account, "dev & Co")
    assert [line.receipts for line in october.lines] == [0, 2, 2]
    with book.store.reading_rows() as session:
        end = session.scalars(select(BookRow)).one()
        assert (october.book.events, october.book.head) == (end.seq, end.head)


def test_closing_twice_changes_nothing(book: MoneyBook) -> None:
    book.use(book.subscription(book.account(), book.tariff(tariff())), 7, OCTOBER)
    first = close(book)
    assert close(book, at=DECEMBER) == first
    assert [each.period for each in first] == ["2026-10"]


def test_a_month_that_is_not_over_stays_open(book: MoneyBook) -> None:
    with pytest.raises(PeriodOpen) as refused:
        close(book, "2026-11", NOVEMBER)
    assert refused.value.data == {"period": "2026-11", "ends_at": "2026-12-01T00:00:00+00:00"}
    assert close(book, "2026-11", datetime(2026, 12, 1, tzinfo=UTC)) == []


def test_months_that_were_forgotten_are_closed_in_order(book: MoneyBook) -> None:
    subscription = book.subscription(book.account(), book.tariff(tariff()))
    book.use(subscription, 1, BEGUN)
    book.use(subscription, 2, NOVEMBER)
    numbers = [each.number for each in close(book, "2026-11", DECEMBER)]
    assert numbers == ["INV-2026-09-000001", "INV-2026-11-000001"]


def test_numbers_have_no_gaps_in_a_tenant(book: MoneyBook) -> None:
    basic, theirs = book.tariff(tariff()), book.tariff(tariff(), tenant="other")
    for name in ("a", "b", "c"):
        book.use(book.subscription(book.account(name), basic), 1, OCTOBER)
    book.use(book.subscription(book.account("a", "other"), theirs, tenant="other"), 1, OCTOBER)
    numbers = sorted(each.number or "" for each in close(book))
    assert numbers == ["INV-2026-10-000001", *(f"INV-2026-10-{number:06d}" for number in (1, 2, 3))]


def test_sellers_and_currencies_have_invoices_of_their_own(book: MoneyBook) -> None:
    account = book.account()
    offers = [
        ("pub.bars", "ann", "CNY"), ("pub.ticks", "ann", "CNY"), ("pub.yen", "ann", "JPY"), ("bob.bars", "bob", "CNY"),
    ]  # fmt: skip
    for product, seller, currency in offers:
        offered = book.tariff(tariff(price="1", currency=currency), product, seller)
        book.use(book.subscription(account, offered, product), 3, OCTOBER)
    found = close(book)
    assert [(each.seller, each.currency, each.total) for each in found] == [
        ("ann", "CNY", "6.00"), ("ann", "JPY", "3"), ("bob", "CNY", "3.00"),
    ]  # fmt: skip
    assert [line.product for line in found[0].lines] == ["pub.bars", "pub.ticks"]


def test_tiers_count_per_month_and_subscription(book: MoneyBook) -> None:
    tiers = [{"up_to": 10, "price": "1"}, {"up_to": None, "price": "0.1"}]
    offered, account = book.tariff(tariff(tiers=tiers)), book.account()
    subscriptions = [book.subscription(account, offered, f"pub.x{number}") for number in (1, 2)]
    for at in (OCTOBER, NOVEMBER):
        for subscription in subscriptions:
            book.use(subscription, 8, at)
    assert [each.total for each in close(book, "2026-11", DECEMBER)] == ["16.00", "16.00"]


def test_a_late_settlement_stands_on_the_next_invoice(book: MoneyBook) -> None:
    account = book.account()
    subscription = book.subscription(account, book.tariff(tariff()))
    book.use(subscription, 100, OCTOBER)
    (october,) = close(book)
    at_the_end = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    book.use(subscription, 5, at_the_end, reserved_at=at_the_end)  # a clock that is behind settles it
    assert issued(book) == [october]
    assert said(preview(book, account, "2026-10")[0]) == said(october)
    assert said(preview(book, account, "2026-11")[0]) == [("units", 5, "0.05")]


def test_corrections_before_the_close_stand_on_the_invoice(book: MoneyBook) -> None:
    subscription = book.subscription(book.account(), book.tariff(tariff()))
    receipt = book.use(subscription, 100, OCTOBER)
    book.adjust(receipt, -30, CLOSED_AT - timedelta(days=1))  # in November, while October is not closed
    (october,) = close(book)
    assert said(october) == [("units", 100, "1.00"), ("adjustment", -30, "-0.30")]
    assert october.lines[1].receipts == 1


def test_corrections_after_the_close_are_money_by_a_credit_note_alone(book: MoneyBook) -> None:
    account = book.account()
    tiers = [{"up_to": 50, "price": "1"}, {"up_to": None, "price": "0.1"}]
    subscription = book.subscription(account, book.tariff(tariff(tiers=tiers)))
    receipt = book.use(subscription, 60, OCTOBER)
    (october,) = close(book)
    with pytest.raises(NothingToCredit):
        noted(book, october)
    book.adjust(receipt, -20, NOVEMBER)
    note = noted(book, october)
    assert (note.kind, note.number, note.corrects) == ("credit_note", "CRN-2026-11-000001", october.number)
    assert (said(note), note.total, note.reason) == ([("adjustment", -20, "-11.00")], "-11.00", "they were wrong")
    with pytest.raises(NothingToCredit):
        noted(book, october)
    book.adjust(receipt, -40, NOVEMBER)
    assert said(noted(book, october)) == [("adjustment", -40, "-40.00")]
    assert preview(book, account, "2026-11") == []
    assert [line.amount for line in preview(book, account, "2026-10")[0].lines] == ["50.00", "1.00", "-51.00"]


def test_a_credit_note_is_the_sellers_alone(book: MoneyBook) -> None:
    account = book.account()
    for product, seller in (("pub.bars", "ann"), ("bob.bars", "bob")):
        used = book.subscription(account, book.tariff(tariff(), product, seller), product)
        book.use(used, 100, OCTOBER)
    of_ann, of_bob = close(book)
    book.adjust(book.use(used, 1, NOVEMBER), -1, NOVEMBER)
    with pytest.raises(NothingToCredit):
        noted(book, of_ann)
    with pytest.raises(NothingToCredit):
        noted(book, of_bob)


@pytest.mark.parametrize(
    ("begun", "ended", "months"),
    [
        (BEGUN, None, ["2026-09", "2026-10", "2026-11"]),
        (BEGUN, datetime(2026, 10, 1, tzinfo=UTC), ["2026-09"]),
        (BEGUN, datetime(2026, 10, 1, 0, 0, 1, tzinfo=UTC), ["2026-09", "2026-10"]),
        (datetime(2026, 11, 30, 23, tzinfo=UTC), None, ["2026-11"]),
        (datetime(2026, 12, 1, tzinfo=UTC), None, []),
    ],
)
def test_the_flat_fee_is_due_for_months_in_which_it_was_active(
    book: MoneyBook, begun: datetime, ended: datetime | None, months: list[str]
) -> None:
    state = "ended" if ended else "active"
    flat = book.tariff(tariff(flat="10"))
    book.subscription(book.account(), flat, state=state, decided_at=begun, ended_at=ended)
    assert [each.period for each in close(book, "2026-11", DECEMBER)] == months


@pytest.mark.parametrize("state", ["pending", "refused", "ended"])
def test_who_was_never_let_in_pays_nothing(book: MoneyBook, state: str) -> None:
    decided = BEGUN if state == "refused" else None
    ended = NOVEMBER if state == "ended" else None
    flat = book.tariff(tariff(flat="10"))
    book.subscription(book.account(), flat, state=state, decided_at=decided, ended_at=ended)
    assert close(book, "2026-11", DECEMBER) == []


def test_calls_that_came_to_nothing_still_have_an_invoice_to_be_corrected(book: MoneyBook) -> None:
    receipt = book.use(book.subscription(book.account(), book.tariff(tariff())), 0, OCTOBER)
    (october,) = close(book)
    assert (said(october), october.total) == ([("units", 0, "0.00")], "0.00")
    book.adjust(receipt, 500, NOVEMBER)
    assert noted(book, october).total == "5.00"


def test_the_largest_units_add_up_exactly(book: MoneyBook) -> None:
    subscription = book.subscription(book.account(), book.tariff(tariff(price="1")))
    for _ in range(3):
        book.use(subscription, 2**62, OCTOBER)
    assert close(book)[0].total == f"{3 * 2**62}.00"


def test_internal_readers_have_no_invoice(book: MoneyBook) -> None:
    book.use(book.subscription(book.account(), None), 1000, OCTOBER)
    assert close(book) == []
