"""Conditions of sessions, as a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from datacanal.products.calendars import calendar_of
from datacanal.products.condition import conditions, conditions_of
from datacanal.products.manifest import Column, Layout, Manifest, Session
from datacanal.protocol.products import Contract

FIRST = date(2026, 3, 2)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def manifest(rows: Mapping[date, int]) -> Manifest:
    return Manifest(
        product="desk.prices",
        version="1.0.0",
        snapshot="snp_1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        columns=[Column(name="day", type="DATE")],
        key=["day"],
        session="day",
        rows=sum(rows.values()),
        layouts=[Layout(order=["day"], file="by_key.parquet", bytes=1, sha256="0")],
        sessions=[Session(session=each.isoformat(), rows=count) for each, count in rows.items()],
    )


def said(
    counts: Sequence[int], *, expected: Sequence[int] = (), restated: Sequence[int] = (), today: int = 99,
    at_most: int = 1, first: int = 0, last: int = 99,
) -> dict[int, tuple[str, int]]:  # fmt: skip
    """Sessions by number; a count of 0 is a session that the snapshot does not have."""
    found = conditions(
        manifest({day(number): count for number, count in enumerate(counts) if count}),
        expected=[day(number) for number in expected],
        restated={day(number) for number in restated},
        today=day(today),
        at_most=at_most,
        first=day(first),
        last=day(last),
    )
    return {(each.session - FIRST).days: (each.condition, each.rows) for each in found}


def test_a_session_with_its_rows_is_available() -> None:
    assert said([10, 10]) == {0: ("available", 10), 1: ("available", 10)}


@pytest.mark.parametrize(("rows", "condition"), [(49, "degraded"), (50, "available"), (500, "available")])
def test_a_session_of_less_than_half_the_rows_before_is_degraded(rows: int, condition: str) -> None:
    assert said([100, 100, 1, 100, 100, 200, rows])[6] == (condition, rows)


def test_of_fewer_than_five_sessions_nothing_is_concluded() -> None:
    assert said([100, 100, 100, 100, 1])[4] == ("available", 1)


def test_only_the_twenty_one_sessions_before_are_neighbours() -> None:
    assert said([1000] * 30 + [100] * 21 + [100])[51] == ("available", 100)


def test_an_expected_session_between_others_is_missing() -> None:
    assert said([10, 0, 10], expected=[0, 1, 2])[1] == ("missing", 0)


PENDING = {  # (today, how many may be missing at the end): conditions of the sessions 1 to 4, of which only 0 is there
    (2, 1): ["missing", "pending", "pending", "pending"],
    (2, 2): ["pending", "pending", "pending", "pending"],
    (4, 1): ["missing", "missing", "missing", "pending"],
    (4, 0): ["missing", "missing", "missing", "missing"],
    (0, 0): ["pending", "pending", "pending", "pending"],
}


@pytest.mark.parametrize(("today", "at_most"), PENDING)
def test_what_may_still_come_is_pending_and_what_is_late_is_missing(today: int, at_most: int) -> None:
    found = said([10], expected=[0, 1, 2, 3, 4], today=today, at_most=at_most)
    assert [condition for condition, _ in list(found.values())[1:]] == PENDING[today, at_most]


def test_a_gap_before_the_newest_session_is_never_pending() -> None:
    assert said([10, 0, 10], expected=[0, 1, 2], today=2, at_most=5)[1] == ("missing", 0)


def test_a_restated_session_is_called_that_whatever_else_it_is() -> None:
    found = said([100, 100, 100, 100, 100, 1], expected=[0, 7], restated=[5, 7])
    assert (found[5], found[7]) == (("restated", 1), ("restated", 0))


def test_a_session_that_the_calendar_does_not_know_is_told_of() -> None:
    assert said([10, 10], expected=[0])[1] == ("available", 10)


def test_only_sessions_of_the_range_are_told() -> None:
    assert list(said([10] * 9, expected=[9, 10, 11], first=7, last=10)) == [7, 8, 9, 10]


def test_neighbours_outside_the_range_count() -> None:
    assert said([100] * 6 + [1], first=6)[6] == ("degraded", 1)


def test_a_snapshot_without_sessions_is_missing_what_is_expected() -> None:
    assert said([], expected=[0, 1], today=1) == {0: ("missing", 0), 1: ("pending", 0)}


def test_a_calendar_says_what_is_expected() -> None:
    calendar = calendar_of("XSHG", date(2026, 2, 1))
    days = [each.day for each in calendar.between(date(2026, 2, 9), date(2026, 2, 27))]
    assert days == [9, 10, 11, 12, 13, 24, 25, 26, 27]  # the Spring Festival in between
    assert calendar.sessions[0].year == 1990


def test_nothing_is_expected_before_the_first_session() -> None:
    assert list(said([0, 0, 10], expected=[0, 1, 2])) == [2]


CALENDAR = Contract(key=["day"], session="day", calendar="XSHG")


def test_a_contracts_calendar_says_what_is_missing_until_today() -> None:
    monday = datetime(2026, 3, 9, 8, tzinfo=UTC)
    found = conditions_of(manifest({FIRST: 10, day(2): 10}), CALENDAR, {day(2)}, monday)
    assert [(each.session.isoformat(), each.condition) for each in found] == [
        ("2026-03-02", "available"),
        ("2026-03-03", "missing"),
        ("2026-03-04", "restated"),
        ("2026-03-05", "missing"),
        ("2026-03-06", "missing"),
        ("2026-03-09", "pending"),
    ]


def test_a_range_that_ends_before_the_newest_session_has_no_pending_ones() -> None:
    found = conditions_of(
        manifest({FIRST: 10, day(4): 10}), CALENDAR, set(), datetime(2026, 3, 6, 8, tzinfo=UTC), last=day(1)
    )
    assert [each.condition for each in found] == ["available", "missing"]


def test_without_a_calendar_only_what_is_there_is_told() -> None:
    found = conditions_of(
        manifest({FIRST: 10}), Contract(key=["day"], session="day"), set(), datetime(2026, 3, 9, tzinfo=UTC)
    )
    assert [each.condition for each in found] == ["available"]
