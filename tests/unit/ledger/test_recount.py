"""Whatever happens in whatever order, what was issued is what a recount by other means comes to."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.money import MoneyBook

from datacanal.domain.metering_errors import NothingToCredit, PeriodOpen
from datacanal.domain.months import month_of
from datacanal.ledger import DATABASE
from datacanal.ledger.counting import of_account
from datacanal.ledger.invoices import book_of, close_period, credit, invoice_in, previews
from datacanal.ledger.models import InvoiceRow, SubscriptionRow
from datacanal.ledger.store import open_ledger
from datacanal.ledger.usage_report import Meant, usage_report
from datacanal.protocol.money import Invoice, Tariff

FIRST = datetime(2026, 9, 20, tzinfo=UTC)
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)  # before anything that a clock which is behind can do
DIGITS = {"CNY": 2, "JPY": 0, "KWD": 3}
EXACT = Context(prec=80)
ROUNDINGS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}

prices = st.decimals("0", "3", places=4, allow_nan=False).map(lambda price: f"{price:f}")


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    ends = sorted(draw(st.sets(st.integers(1, 40), max_size=3)))
    tiers = [{"up_to": end, "price": draw(prices)} for end in [*ends, None]]
    return Tariff.model_validate(
        {
            "name": f"t{draw(st.uuids()).hex}",
            "currency": draw(st.sampled_from(sorted(DIGITS))),
            "flat": draw(st.sampled_from(["0", "9.995", "100"])),
            "tiers": tiers,
            "counting": draw(st.sampled_from(["graduated", "volume"])),
            "per": draw(st.sampled_from([1, 10])),
            "included": draw(st.sampled_from([0, 7])),
            "minimum": draw(st.sampled_from(["0", "12.5"])),
            "rounding": draw(st.sampled_from(sorted(ROUNDINGS))),
        }
    )


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 2), st.integers(0, 50)),
        st.tuples(st.just("late"), st.integers(0, 2), st.integers(0, 50)),
        st.tuples(st.just("adjust"), st.integers(0, 30), st.integers(-60, 30)),
        st.tuples(st.just("pass"), st.integers(1, 40), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("credit"), st.integers(0, 10), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(0)),
    ),
    max_size=20,
)


@dataclass
class Counted:
    """One event as the test remembers it: `month` is that in which it counts."""

    subscription: str
    receipt: str
    month: str
    units: int


@dataclass
class Play:
    """The book, and beside it what happened as plain lists."""

    book: MoneyBook
    account: str
    offers: dict[str, Tariff]
    now: datetime = FIRST
    closed_until: datetime = AUGUST
    last_at: datetime = AUGUST
    uses: list[Counted] = field(default_factory=list)
    corrections: list[Counted] = field(default_factory=list)
    ended: dict[str, datetime] = field(default_factory=dict)
    credited: dict[str, int] = field(default_factory=dict)

    def use(self, index: int, units: int, *, late_by: timedelta = timedelta()) -> None:
        """A call whose clock may be behind: it stands where the book is."""
        subscription = list(self.offers)[index % len(self.offers)]
        if subscription in self.ended:
            return
        at = self._at(self.now - late_by)
        receipt = self.book.use(subscription, units, self.now - late_by, reserved_at=self.now - late_by)
        self.uses.append(Counted(subscription, receipt, f"{at:%Y-%m}", units))

    def adjust(self, index: int, units: int) -> None:
        if not self.uses or units == 0:
            return
        corrected = self.uses[index % len(self.uses)]
        self._at(self.now)
        receipt = self.book.adjust(corrected.receipt, units, self.now)
        self.corrections.append(Counted(corrected.subscription, receipt, corrected.month, units))

    def close(self, months_back: int) -> None:
        """The month before, or before that; months that are not over stay as they are."""
        start = month_of(self.now).start
        for _ in range(months_back):
            start = month_of(start - timedelta(days=1)).start
        with self.book.store.writing_rows() as session:
            if month_of(start).end > self.now:
                with pytest.raises(PeriodOpen):
                    close_period(session, month_of(start), self.now, self.book.new_id)
                return
            close_period(session, month_of(start), self.now, self.book.new_id)
        until = max(self.closed_until, month_of(start).end)
        for invoice in self.issued():
            if self.closed_until <= invoice.start < until:
                self.credited[invoice.number] = len(self.corrections)
        self.closed_until = until

    def credit(self, index: int) -> None:
        invoices = [each for each in self.issued() if each.kind == "invoice"]
        if not invoices:
            return
        invoice = invoices[index % len(invoices)]
        subscriptions = {line.subscription for line in invoice.lines}
        newer = self.corrections[self.credited[invoice.number] :]
        due = [each for each in newer if each.month == invoice.period and each.subscription in subscriptions]
        with self.book.store.writing_rows() as session:
            row = session.get_one(InvoiceRow, invoice.id)
            if not due:
                with pytest.raises(NothingToCredit):
                    credit(session, row, "tests", self.now, self.book.new_id)
                return
            note = credit(session, row, "tests", self.now, self.book.new_id)
        assert sum(line.units for line in note.lines) == sum(each.units for each in due)
        assert sum(line.receipts for line in note.lines) == len(due)
        self.credited[invoice.number] = len(self.corrections)

    def end(self, index: int) -> None:
        subscription = list(self.offers)[index % len(self.offers)]
        if subscription not in self.ended:
            self.book.end(subscription, self.now)
            self.ended[subscription] = self.now

    def issued(self) -> list[Invoice]:
        with self.book.store.reading_rows() as session:
            return [invoice_in(row) for row in session.scalars(select(InvoiceRow).order_by(InvoiceRow.id))]

    def recounted(self, month: str, corrections: list[Counted]) -> dict[str, Decimal]:
        """What a month comes to by currency, unit by unit."""
        due: dict[str, Decimal] = defaultdict(Decimal)
        for subscription, tariff in self.offers.items():
            mine = [
                each for each in (*self.uses, *corrections) if (each.subscription, each.month) == (subscription, month)
            ]
            end = self.ended.get(subscription, month_end(month))
            active = month_end(month) > FIRST and end > max(FIRST, month_start(month))
            if active or mine:
                due[tariff.currency] += naive(tariff, sum(each.units for each in mine), active=active)
        return due

    def _at(self, now: datetime) -> datetime:
        self.last_at = max(now, self.last_at, self.closed_until)
        return self.last_at


def month_start(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)


def month_end(month: str) -> datetime:
    return month_of(month_start(month)).end


def naive(tariff: Tariff, units: int, *, active: bool) -> Decimal:
    """The tariff as its documentation reads, each unit on its own."""
    tiers = tariff.tiers or []

    def rounded(amount: Decimal) -> Decimal:
        return amount.quantize(Decimal(1).scaleb(-DIGITS[tariff.currency]), ROUNDINGS[tariff.rounding], EXACT)

    due = rounded(Decimal(tariff.flat)) if active else Decimal(0)
    if units < 0:
        due += rounded(units * Decimal(tiers[0].price) / tariff.per)
    of_tier = [0] * len(tiers)
    for number in range(1, max(0, units - tariff.included) + 1):
        of_tier[next(index for index, tier in enumerate(tiers) if tier.up_to is None or number <= tier.up_to)] += 1
    if tariff.counting == "volume" and any(of_tier):
        last = max(index for index, count in enumerate(of_tier) if count)
        of_tier = [sum(of_tier) if index == last else 0 for index in range(len(tiers))]
    for tier, count in zip(tiers, of_tier, strict=True):
        due += rounded(count * Decimal(tier.price) / tariff.per)
    return max(due, rounded(Decimal(tariff.minimum))) if active else due


def summed(invoices: list[Invoice], month: str) -> dict[str, Decimal]:
    due: dict[str, Decimal] = defaultdict(Decimal)
    for each in invoices:
        if each.period == month:
            assert sum(Decimal(line.amount) for line in each.lines) == Decimal(each.total)
            due[each.currency] += Decimal(each.total)
    return due


def without_nothing(due: dict[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in due.items() if amount}


@cache
def an_empty_book() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        open_ledger(Path(folder)).close()
        return (Path(folder) / DATABASE).read_bytes()


@settings(max_examples=20, deadline=None)
@given(offers=st.lists(tariffs(), min_size=1, max_size=3), operations=OPERATIONS)
def test_a_recount_is_what_was_issued(offers: list[Tariff], operations: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / DATABASE).write_bytes(an_empty_book())
        book = MoneyBook(Path(folder))
        try:
            play = begun(book, offers)
            for operation in operations:
                done(play, *operation)
            check_issued(play)
            check_previews(play)
            check_usage(play)
        finally:
            book.store.close()


def begun(book: MoneyBook, offers: list[Tariff]) -> Play:
    account = book.account()
    held = {}
    for number, offer in enumerate(offers):
        product = f"pub.p{number}"
        held[book.subscription(account, book.tariff(offer, product), product, decided_at=FIRST)] = offer
    return Play(book, account, held)


def done(play: Play, operation: str, which: int, units: int) -> None:
    match operation:
        case "use":
            play.use(which, units)
        case "late":
            play.use(which, units, late_by=timedelta(days=20))
        case "adjust":
            play.adjust(which, units)
        case "pass":
            play.now += timedelta(days=which)
        case "close":
            play.close(which)
        case "credit":
            play.credit(which)
        case "end":
            play.end(which)


def check_issued(play: Play) -> None:
    """Once the last corrections are credited, what was issued of a closed month is its recount."""
    for index in range(len([each for each in play.issued() if each.kind == "invoice"])):
        play.credit(index)
    issued = play.issued()
    month = month_of(AUGUST)
    while month.end <= play.closed_until:
        assert without_nothing(summed(issued, month.name)) == without_nothing(
            play.recounted(month.name, play.corrections)
        )
        month = month_of(month.end)
    for prefix in {each.number[:12] for each in issued}:
        numbers = sorted(each.number for each in issued if each.number.startswith(prefix))
        assert numbers == [f"{prefix}{number:06d}" for number in range(1, len(numbers) + 1)]


def check_previews(play: Play) -> None:
    """Of every month, closed or not, the preview is the recount."""
    month = month_of(AUGUST)
    while month.start <= play.last_at:
        with play.book.store.reading_rows() as session:
            found = previews(session, play.account, month)
        recounted = play.recounted(month.name, play.corrections)
        assert without_nothing(summed(found, month.name)) == without_nothing(recounted)
        month = month_of(month.end)


def check_usage(play: Play) -> None:
    """The balances of months and days are what was used, with what was corrected of it."""
    for month in {each.month for each in play.uses}:
        counted = sum(each.units for each in (*play.uses, *play.corrections) if each.month == month)
        with play.book.store.reading_rows() as session:
            meant = Meant(of_account("default", play.account), (SubscriptionRow.account_id == play.account,))
            last = book_of(session).seq
            for group_by in ("day", "product", "subscription", "key"):
                found = usage_report(session, meant, month_of(month_start(month)), group_by, last)
                assert found.total.units == sum(line.units for line in found.lines) == counted
