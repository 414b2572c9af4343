"""What fits, what is left and what is told, without a book."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.meters import AT, rows_a_day

from datacanal.domain.usage import Amounts, Dimension, Period, Quota
from datacanal.ledger.charging import Counted, Tally, at_most, check_quotas, passed


def tally(used: int = 0, held: int = 0, percent: int = 0) -> Tally:
    return Tally("sub_1", Dimension.ROWS, Period.DAY, AT.replace(hour=0), used, held, percent)


@pytest.mark.parametrize(("used", "held", "told", "expected"), [
    (79, 21, 0, []),
    (80, 0, 0, [80]),
    (100, 0, 0, [80, 100]),
    (100, 0, 80, [100]),
    (100, 0, 100, []),
])  # fmt: skip
def test_what_is_used_is_told_and_what_is_held_is_not(used: int, held: int, told: int, expected: list[int]) -> None:
    assert list(passed(rows_a_day(100), tally(used, held, told))) == expected


def test_used_and_held_count_alike() -> None:
    left = Counted(rows_a_day(100), tally(30, 50)).left(AT)
    assert (left.remaining, left.share) == (20, 0.8)


def test_nothing_is_left_of_a_quota_that_is_over_or_of_none() -> None:
    over, nothing = Counted(rows_a_day(100), tally(130)).left(AT), Counted(rows_a_day(0), tally()).left(AT)
    assert (over.remaining, over.share, nothing.remaining, nothing.share) == (0, 1.3, 0, 1.0)


@pytest.mark.parametrize(
    ("start", "period", "at", "window_s", "reset_s"),
    [
        (datetime(2026, 2, 1, tzinfo=UTC), Period.MONTH, datetime(2026, 2, 28, 23, 59, 59, 1, UTC), 28 * 86400, 1),
        (datetime(2026, 12, 1, tzinfo=UTC), Period.MONTH, datetime(2026, 12, 31, tzinfo=UTC), 31 * 86400, 86400),
        (AT, Period.HOUR, AT, 3600, 3600),
    ],
)
def test_a_quota_begins_anew_with_its_period(
    start: datetime, period: Period, at: datetime, window_s: int, reset_s: int
) -> None:
    left = Counted(Quota(Dimension.ROWS, 1, period), Tally("sub_1", Dimension.ROWS, period, start)).left(at)
    assert (left.window_s, left.reset_s) == (window_s, reset_s)


def test_what_fits_exactly_fits() -> None:
    check_quotas([Counted(rows_a_day(100), tally(30, 50))], Amounts(rows=20), AT)


def test_of_two_amounts_each_dimension_has_its_smaller_one() -> None:
    assert at_most(Amounts(1, 20, 3, 40), Amounts(10, 2, 30, 4)) == Amounts(1, 2, 3, 4)
