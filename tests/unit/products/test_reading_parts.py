"""The parts of reading: what footers leave out, what the cache holds, what DuckDB may touch."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacanal.products.query_form import Operator
from datacanal.products.reading_database import Database
from datacanal.products.reading_files import ColumnCache
from datacanal.products.reading_sql import Statement
from datacanal.products.reading_stop import Stop
from datacanal.products.reading_zones import Zones

_PASSES = {
    "gt": lambda row, values: row > values[0],
    "gte": lambda row, values: row >= values[0],
    "lt": lambda row, values: row < values[0],
    "lte": lambda row, values: row <= values[0],
    "eq": lambda row, values: row == values[0],
    "in": lambda row, values: row in values,
}


@given(
    groups=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=6),
    ordered=st.booleans(),
    operator=st.sampled_from(sorted(_PASSES)),
    values=st.lists(st.integers(-1, 10), min_size=1, max_size=3),
)
def test_no_row_group_is_left_out_that_holds_a_row_which_passes(
    groups: list[list[int]], ordered: bool, operator: Operator, values: list[int]
) -> None:
    values = values if operator == "in" else values[:1]
    if ordered:
        flat = iter(sorted(row for group in groups for row in group))
        groups = [[next(flat) for _ in group] for group in groups]
    zones = Zones([min(group) for group in groups], [max(group) for group in groups])
    kept = list(zones.narrowed(range(len(groups)), operator, values))
    holding = [at for at, group in enumerate(groups) if any(_PASSES[operator](row, values) for row in group)]
    assert set(holding) <= set(kept)
    assert kept == sorted(kept)


def test_a_row_group_without_statistics_is_never_left_out() -> None:
    zones = Zones([None, 5], [None, 6])
    assert list(zones.narrowed(range(2), "eq", [1])) == [0]


def test_the_cache_drops_what_was_not_asked_for_the_longest() -> None:
    column = pa.array(range(100), pa.int64())
    cache = ColumnCache(2 * column.nbytes)
    places = [(Path("file"), group, "a") for group in range(3)]
    cache.put(places[0], column)
    cache.put(places[1], column)
    assert cache.get(places[0]) is column
    cache.put(places[2], column)
    assert [cache.get(place) is column for place in places] == [True, False, True]


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = ColumnCache(0)
    cache.put((Path("file"), 0, "a"), pa.array([1]))
    assert cache.get((Path("file"), 0, "a")) is None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{outside}')",
        "COPY (SELECT 1) TO '{outside}.new'",
        "ATTACH '{outside}.db'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
    ],
)
def test_duckdb_touches_nothing_beside_the_store_and_the_scratch_place(tmp_path: Path, statement: str) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("secret")
    for name in ("store", "scratch"):
        (tmp_path / name).mkdir()
    database = Database(tmp_path / "store", tmp_path / "scratch", 2**28, 1)
    with pytest.raises(duckdb.Error):
        database.number(Statement(statement.format(outside=outside), ()), Stop())
    database.close()
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["outside.txt"]
