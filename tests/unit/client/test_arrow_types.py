"""The wire's lossless types become types that every Arrow tool computes with."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pyarrow as pa

from datacanal.client.arrow_types import plain_batch, plain_schema


def lossless(sql: str) -> pa.RecordBatch:
    connection = duckdb.connect()
    connection.execute("SET arrow_lossless_conversion = true")
    return connection.sql(sql).to_arrow_table().combine_chunks().to_batches()[0]


def test_a_sum_of_integers_becomes_a_decimal_with_the_same_values() -> None:
    batch = lossless("SELECT i::HUGEINT AS h FROM (VALUES (1), (NULL), (-170141183460469231731687), (0)) t(i)")
    assert plain_batch(batch)["h"].to_pylist() == [Decimal(1), None, Decimal("-170141183460469231731687"), Decimal(0)]


def test_a_slice_of_a_batch_keeps_its_own_rows() -> None:
    batch = lossless("SELECT i::HUGEINT AS h FROM range(10) t(i)").slice(3, 2)
    assert plain_batch(batch)["h"].to_pylist() == [Decimal(3), Decimal(4)]


def test_other_types_stay() -> None:
    batch = lossless("SELECT 1 AS i, 'a' AS s, DATE '2024-01-01' AS d, [1] AS l, uuid() AS u")
    assert plain_batch(batch).equals(batch)


def test_the_schema_is_known_without_rows() -> None:
    batch = lossless("SELECT sum(1) AS h, '101'::BIT AS b")
    assert plain_schema(batch.schema) == plain_batch(batch).schema
    assert plain_schema(batch.schema).field("h").type == pa.decimal128(38, 0)
