"""The comparator must pass what the promise allows and fail everything else."""

import datetime as dt
import math
import random
from decimal import Decimal

import pyarrow as pa
import pytest

from datacanal.testing.comparator import ResultsDiffer, assert_same

ROWS = {"id": [1, 2, 2, None], "name": ["ž", None, None, ""], "score": [0.1, math.nan, math.nan, -0.0]}


def table(**columns: object) -> pa.Table:
    return pa.table(
        {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    )


def test_rows_may_change_places() -> None:
    assert_same(table(**{name: values[::-1] for name, values in ROWS.items()}), table(**ROWS))


SAME = {
    "nan is nan": (table(x=[math.nan]), table(x=[math.nan])),
    "minus zero is zero": (table(x=[-0.0, 1.0]), table(x=[1.0, 0.0])),
    "inf is inf": (table(x=[math.inf, -math.inf]), table(x=[-math.inf, math.inf])),
    "a rounding apart": (table(x=[1e20 * (1 + 1e-12)]), table(x=[1e20])),
    "no rows": (table(x=pa.array([], pa.int32())), table(x=pa.array([], pa.int32()))),
    "no columns": (pa.table({}), pa.table({})),
    "string layouts": (table(x=pa.array(["a"], pa.string_view())), table(x=pa.array(["a"], pa.large_string()))),
    "nested floats": (
        table(x=[{"a": [1.0, math.nan, -0.0, None], "b": "t"}]),
        table(x=[{"a": [1.0 + 1e-13, math.nan, 0.0, None], "b": "t"}]),
    ),
    "maps": (
        table(x=pa.array([[("k", 2.0)]], pa.map_(pa.string(), pa.float64()))),
        table(x=pa.array([[("k", 2.0)]], pa.map_(pa.string(), pa.float64()))),
    ),
    "names used twice": (
        pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["a", "a"]),
        pa.Table.from_arrays([pa.array([2, 1]), pa.array([4, 3])], ["a", "a"]),
    ),
    "rounding that changes how floats sort": (
        table(x=[1.0, 1.0 + 1e-12], y=[5.0, 7.0]),
        table(x=[1.0 + 1e-12, 1.0], y=[5.0, 7.0]),
    ),
}


@pytest.mark.parametrize("case", SAME.values(), ids=SAME.keys())
def test_these_are_the_same(case: tuple[pa.Table, pa.Table]) -> None:
    assert_same(*case)


DIFFERENT = {
    "another number": (table(x=[1, 2]), table(x=[1, 3])),
    "a number near 2^53": (table(x=[2**53]), table(x=[2**53 + 1])),
    "a row twice": (table(x=[1, 1, 2]), table(x=[1, 2, 2])),
    "a row less": (table(x=[1]), table(x=[1, 1])),
    "null for zero": (table(x=[None, 1]), table(x=[0, 1])),
    "null for nan": (table(x=[None, 1.0]), table(x=[math.nan, 1.0])),
    "inf for nan": (table(x=[math.inf]), table(x=[math.nan])),
    "inf for minus inf": (table(x=[math.inf]), table(x=[-math.inf])),
    "null for empty text": (table(x=[None, "a"]), table(x=["", "a"])),
    "another name": (table(x=[1]), table(y=[1])),
    "another order of columns": (table(x=[1], y=[2]), table(y=[2], x=[1])),
    "another width": (table(x=pa.array([1], pa.int32())), table(x=pa.array([1], pa.int64()))),
    "another time zone": (
        table(x=pa.array([0], pa.timestamp("us", "UTC"))),
        table(x=pa.array([0], pa.timestamp("us"))),
    ),
    "another scale": (table(x=[Decimal("1.50")]), table(x=[Decimal("1.5")])),
    "a decimal's last digit": (table(x=[Decimal("1.50")]), table(x=[Decimal("1.51")])),
    "floats too far apart": (table(x=[1.0]), table(x=[1.0 + 1e-8])),
    "tiny floats too far apart": (table(x=[1e-20]), table(x=[2e-20])),
    "floats swapped between rows": (table(k=[1, 2], x=[1.0, 2.0]), table(k=[1, 2], x=[2.0, 1.0])),
    "floats swapped between columns": (table(a=[1.0], b=[2.0]), table(a=[2.0], b=[1.0])),
    "floats of one exact part": (table(k=[1, 1], x=[1.0, 2.0]), table(k=[1, 1], x=[1.0, 1.0])),
    "order inside a list": (table(x=[[1, 2]]), table(x=[[2, 1]])),
    "null inside a list": (table(x=[[1, None]]), table(x=[[1]])),
    "empty list for null": (table(x=[[], [1]]), table(x=[None, [1]])),
    "field of a struct": (table(x=[{"a": 1}]), table(x=[{"a": 2}])),
    "name of a field": (table(x=[{"a": 1}]), table(x=[{"b": 1}])),
    "a float deep inside": (table(x=[{"a": [1.0]}]), table(x=[{"a": [1.1]}])),
    "a nanosecond": (table(x=pa.array([1], pa.timestamp("ns"))), table(x=pa.array([2], pa.timestamp("ns")))),
    "bytes": (table(x=[b"\x00"]), table(x=[b""])),
    "a day": (table(x=[dt.date(2020, 1, 1)]), table(x=[dt.date(2020, 1, 2)])),
    "no columns but rows": (pa.table({"x": [1]}).select([]), pa.table({"x": [1, 2]}).select([])),
}


@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_these_are_different(case: tuple[pa.Table, pa.Table]) -> None:
    with pytest.raises(ResultsDiffer):
        assert_same(*case)
    with pytest.raises(ResultsDiffer):
        assert_same(*reversed(case))


def test_the_order_counts_as_far_as_the_sort_keys_determine_it() -> None:
    expected = table(k=[1, 1, 2], v=["a", "b", "c"])
    assert_same(expected.take([1, 0, 2]), expected, ordered_by=["k"])
    with pytest.raises(ResultsDiffer, match="differs at row 0"):
        assert_same(expected.take([2, 0, 1]), expected, ordered_by=["k"])
    with pytest.raises(ResultsDiffer, match="differs at row 0"):
        assert_same(expected.take([1, 0, 2]), expected, ordered_by=[0, 1])


def test_cancelled_sums_pass_only_where_the_caller_names_the_magnitude() -> None:
    ours, theirs = table(x=[1e-7]), table(x=[0.0])
    with pytest.raises(ResultsDiffer):
        assert_same(ours, theirs)
    assert_same(ours, theirs, magnitude=1e6)
    with pytest.raises(ResultsDiffer):
        assert_same(ours, theirs, magnitude=1e3)


def test_the_message_shows_the_first_rows_that_differ() -> None:
    with pytest.raises(ResultsDiffer) as caught:
        assert_same(table(x=[1, 2, 3]), table(x=[1, 2, 4]))
    assert "{'x': 3}" in str(caught.value)
    assert "{'x': 4}" in str(caught.value)
    assert "{'x': 1}" not in str(caught.value)


def test_a_hundred_thousand_rows_in_any_order() -> None:
    rng = random.Random(7)
    floats = [rng.random() for _ in range(100_000)]
    big = table(k=list(range(100_000)), t=[str(n % 97) for n in range(100_000)], x=floats)
    order = rng.sample(range(100_000), 100_000)
    assert_same(big.take(order), big)
    changed = [*floats[:-1], floats[-1] + 0.5]
    with pytest.raises(ResultsDiffer, match="1 rows that are not expected"):
        assert_same(big.take(order), table(k=list(range(100_000)), t=big["t"].combine_chunks(), x=changed))
