"""A returned table leaves as exactly the declared columns, or not at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from tests.python_jobs import task_of
from tests.unit.site.engine.python_bench import Bench

from datacanal.site.engine.arrow_source import casts
from datacanal.site.engine.contract import Contract
from datacanal.site.engine.giving_up import GivesUp

UUID = "6f1f4f7e-5f0a-4ad5-8a4c-2b6d2a0f1c11"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def shaped(kind: str, values: pa.Array) -> pa.Table:
    return Contract({"x": kind}).shape(pa.table({"x": values}))


def as_duckdb_reads(kind: str, values: pa.Array) -> list[Any]:
    """What a kernel makes of the column that travels."""
    contract = Contract({"x": kind})
    with duckdb.connect() as connection:
        connection.register("t", contract.shape(pa.table({"x": values})).rename_columns(["c0"]))
        rows = connection.sql(f"SELECT typeof(x), x FROM (SELECT {casts(contract.columns)} FROM t)").fetchall()
    assert {found for found, _ in rows} <= {kind}
    return [value for _, value in rows]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("HUGEINT", pa.array([1, None]), [1, None]),
        ("TINYINT", pa.array([1.0, None, -128.0]), [1, None, -128]),
        ("DECIMAL(10,2)", pa.array([0.1, 1234567.25]), [Decimal("0.10"), Decimal("1234567.25")]),
        ("DOUBLE", pa.array([1, 2**53]), [1.0, float(2**53)]),
        ("FLOAT", pa.array([0.5, float("inf")]), [0.5, float("inf")]),
        ("DATE", pa.array([dt.datetime(2024, 1, 2)], pa.timestamp("ns")), [dt.date(2024, 1, 2)]),  # noqa: DTZ001
        ("ENUM('a', 'b')", pa.array(["a", None]), ["a", None]),
        ("VARCHAR", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ("VARCHAR", pa.array(["ž", ""], pa.large_string()), ["ž", ""]),
        ("INTEGER[]", pa.array([[1, None], []], pa.list_(pa.int64())), [[1, None], []]),
        ("INTEGER", pa.nulls(2), [None, None]),
    ],
    ids=str,
)
def test_a_column_is_cast_where_that_loses_nothing(kind: str, values: pa.Array, expected: list[Any]) -> None:
    assert as_duckdb_reads(kind, values) == expected


def test_texts_become_what_they_spell() -> None:
    assert str(as_duckdb_reads("UUID", pa.array([UUID]))[0]) == UUID
    assert as_duckdb_reads("JSON", pa.array(['{"a": 1}'])) == ['{"a": 1}']


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("INTEGER", pa.array([1.5])),
        ("TINYINT", pa.array([1, 128])),
        ("DECIMAL(10,2)", pa.array([0.125])),
        ("FLOAT", pa.array([0.1])),
        ("DOUBLE", pa.array([2**53 + 1])),
        ("INTEGER", pa.array(["one"])),
        ("DATE", pa.array([dt.datetime(2024, 1, 2, 3)], pa.timestamp("us"))),  # noqa: DTZ001
        ("ENUM('a', 'b')", pa.array(["c"])),
        ("INTEGER", pa.array([[1]])),
        ("UUID", pa.array(["no"])),
    ],
    ids=str,
)
def test_a_value_that_would_change_is_refused_with_its_column_and_without_itself(kind: str, values: pa.Array) -> None:
    with pytest.raises(GivesUp, match="'x' holds a value of type") as refusal:
        shaped(kind, values)
    assert refusal.value.why == "other_columns"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a": [1]}, "'b' is missing"),
        ({"a": [1], "b": [2], "c": [3]}, "'c' was not declared"),
        ({"A": [1], "b": [2]}, "'a' is missing"),
    ],
)
def test_other_names_are_told(table: dict[str, list[int]], words: str) -> None:
    with pytest.raises(GivesUp, match=words):
        Contract({"a": "BIGINT", "b": "BIGINT"}).shape(pa.table(table))


def test_a_name_that_is_there_twice_is_told() -> None:
    with pytest.raises(GivesUp, match="'a' is there 2 times"):
        Contract({"a": "BIGINT"}).shape(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_the_order_is_the_declared_one() -> None:
    table = Contract({"a": "BIGINT", "b": "BIGINT"}).shape(pa.table({"b": [2], "a": [1]}))
    assert table.to_pydict() == {"a": [1], "b": [2]}


# ---------------------------------------------------------------- what a function may return


def test_every_kind_of_table_may_be_returned(bench: Bench) -> None:
    def reader(_: Any) -> Any:
        batch = pa.record_batch({"n": [1, 2]})
        return pa.RecordBatchReader.from_batches(batch.schema, iter([batch]))

    def relation(_: Any) -> Any:
        return duckdb.connect().sql("SELECT unnest([1, 2])::HUGEINT AS n")

    def dask_frame(_: Any) -> Any:
        import dask.dataframe as dd

        return dd.from_pandas(pd.DataFrame({"n": [1, 2]}), npartitions=2)

    functions = [
        lambda _: pa.table({"n": [1, 2]}),
        lambda _: pa.record_batch({"n": [1, 2]}),
        lambda _: pd.DataFrame({"n": [1, 2]}),
        reader,
        relation,
        dask_frame,
    ]
    for function in functions:
        assert bench.run_here(task_of(function)).table.to_pydict() == {"n": [1, 2]}


def test_a_table_without_rows_is_a_table(bench: Bench) -> None:
    def none(_: Any) -> Any:
        return pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), iter([]))

    assert bench.run_here(task_of(none)).table.num_rows == 0


def test_an_index_is_a_column_where_it_was_declared(bench: Bench) -> None:
    def grouping(_: Any) -> Any:
        return pd.DataFrame({"n": [1, 1, 2], "v": [1.0, 2.0, 3.0]}).groupby("n").sum()

    both = bench.run_here(task_of(grouping, {"n": "BIGINT", "v": "DOUBLE"}))
    assert both.table.to_pydict() == {"n": [1, 2], "v": [3.0, 3.0]}
    assert bench.run_here(task_of(grouping, {"v": "DOUBLE"})).table.to_pydict() == {"v": [3.0, 3.0]}


def test_a_huge_sum_of_a_relation_keeps_its_digits(bench: Bench) -> None:
    def total(_: Any) -> Any:
        return duckdb.connect().sql("SELECT sum(x)::HUGEINT AS n FROM (VALUES (9007199254740993), (1)) AS t(x)")

    assert bench.run_here(task_of(total, {"n": "BIGINT"})).table.to_pydict() == {"n": [9007199254740994]}


@pytest.mark.parametrize("value", [None, 1, [1], {"n": [1]}, "n"], ids=repr)
def test_anything_else_is_no_table(bench: Bench, value: object) -> None:
    heard = bench.run_here(task_of(lambda _: value))
    assert (heard.why, heard.stream) == ("no_table", b"")


def test_a_frame_of_mixed_values_has_other_columns(bench: Bench) -> None:
    assert bench.run_here(task_of(lambda _: pd.DataFrame({"n": [1, "a"]}))).why == "other_columns"


def test_a_later_batch_that_differs_leaves_no_whole_table(bench: Bench) -> None:
    def late(_: Any) -> Any:
        batches = [pa.record_batch({"n": pa.array([value])}) for value in (1.0, 1.5)]
        return pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))

    assert bench.run_here(task_of(late)).why == "other_columns"
