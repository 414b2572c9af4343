"""Blocks: the groups that a coarser question would sum up."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from datacanal.domain.errors import TooManyGroups
from datacanal.site.gate.blocks import blocks_of


def parts(columns: list[Any]) -> list[set[frozenset[int]]]:
    found = []
    for block in blocks_of(columns):
        members: dict[int, set[int]] = {}
        for row, number in enumerate(block.tolist()):
            members.setdefault(number, set()).add(row)
        found.append({frozenset(each) for each in members.values()})
    return found


def sets(*members: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(each) for each in members}


def test_one_column_is_summed_over_whole() -> None:
    assert parts([pa.array(["a", "b", None])]) == [sets((0, 1, 2))]


def test_no_column_leaves_nothing_to_sum_over() -> None:
    assert parts([]) == []


def test_every_choice_of_columns_makes_its_blocks_the_finest_first() -> None:
    found = parts([pa.array([1, 1, 2, 2]), pa.chunked_array([["x", "y"], ["x", "z"]])])
    assert found == [sets((0, 1), (2, 3)), sets((0, 2), (1,), (3,)), sets((0, 1, 2, 3))]


def test_choices_that_say_the_same_are_looked_at_once() -> None:
    assert parts([pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]) == [sets((0,), (1,), (2,)), sets((0, 1, 2))]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0.0, -0.0, 1.5]),
        pa.array([float("nan"), float("nan"), None]),
        pa.array([[1, 2], [1, 2], None]),
        pa.array([{"a": 1}, {"a": 1}, {"a": None}]),
        pa.ExtensionArray.from_storage(
            pa.opaque(pa.binary(1), "hugeint", "DuckDB"), pa.array([b"1", b"1", b"2"], pa.binary(1))
        ),
    ],
)
def test_values_of_every_kind_are_told_apart(values: Any) -> None:
    assert sets((0, 1), (2,)) in parts([values, pa.array([1, 2, 3])])


def test_duckdb_s_own_types_are_told_apart() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET arrow_lossless_conversion = true")
        table = connection.sql("SELECT unnest([1, 1, 2])::HUGEINT AS a, unnest([1, 2, 3]) AS b").to_arrow_table()
    assert sets((0, 1), (2,)) in parts(table.columns)


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(TooManyGroups, match="9 columns"):
        blocks_of([pa.array([1])] * 9)
