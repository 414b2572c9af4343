"""Estimates follow the statistics where there are any."""

from __future__ import annotations

from typing import Any

import pytest

from datacanal.planning.catalogue import CataloguedDataset
from datacanal.planning.estimates import STREAM_OVERHEAD_BYTES, scan_estimate, scanned_bytes, selectivity
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn


def column(name: str, kind: str, **statistics: Any) -> DatasetColumn:
    return DatasetColumn(name=name, type=kind, statistics=ColumnStatistics(compressed_bytes=1000, **statistics))


DATASET = CataloguedDataset(
    "l", "d", "core", "snp_1", 100, 5000,
    (
        column("n", "INTEGER", min="0", max="200", distinct_count=50, null_count=20),
        column("d", "DATE", min="'2020-01-01'", max="'2020-12-31'", null_count=0),
        column("t", "TIMESTAMP", min="2020-01-01 00:00:00", max="2020-01-02 00:00:00"),
        column("s", "VARCHAR", min="'a'", max="'z'", distinct_count=4),
        DatasetColumn(name="bare", type="DOUBLE"),
        column("flat", "DOUBLE", min="5", max="5"),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "share"),
    [
        ("n < 50", 0.8 * 0.25),
        ("n >= 50", 0.8 * 0.75),
        ("50 > n", 0.8 * 0.25),
        ("50 <= n", 0.8 * 0.75),
        ("n = 7", 0.8 / 50),
        ("n <> 7", 0.8 * 49 / 50),
        ("n IS NULL", 0.2),
        ("n IS NOT NULL", 0.8),
        ("n IN (1, 2, 3)", 3 / 50),
        ("n < 5000", 0.8),
        ("n > 5000", 0.0),
        ("NOT n < 5000", 0.2),
        ("CAST(n AS BIGINT) < 100", 0.4),
        ("d < CAST('2020-07-01' AS DATE)", 182 / 365),
        ("t < CAST('2020-01-01 12:00:00' AS TIMESTAMP)", 0.5),
        ("d BETWEEN CAST('2020-01-01' AS DATE) AND CAST('2020-07-01' AS DATE)", 182 / 365),
        ("s = 'x'", 0.25),
        ("s < 'k'", 0.3),
        ("prefix(s, 'x')", 0.1),
        ("s !~~ 'x%'", 0.9),
        ("bare = 3", 0.05),
        ("bare < 3", 0.3),
        ("flat < 6", 1.0),
        ("flat < 4", 0.0),
        ("s = 'x' AND n < 50", 0.25 * 0.2),
        ("s = 'x' OR s = 'y'", 1 - 0.75**2),
        ("s IS DISTINCT FROM 'x'", 0.75),
        ("n < bare", 0.8 * 0.3),
        ("TRY(true)", 0.5),
        ("CASE WHEN true THEN true END", 0.5),
    ],
)
def test_the_share_of_rows_follows_the_statistics(bench: Any, condition: str, share: float) -> None:
    tree = bench.binder.parse(f"SELECT 1 WHERE {condition}")
    assert selectivity(tree["statements"][0]["node"]["where_clause"], DATASET) == pytest.approx(share, abs=1e-9)


def test_bytes_are_those_of_the_columns_that_travel(bench: Any) -> None:
    everything = scan_estimate(DATASET, range(6), None)
    assert everything.rows == 100
    assert everything.bytes == STREAM_OVERHEAD_BYTES + 5 * 1000 + 400
    half = bench.binder.parse("SELECT 1 WHERE t < TIMESTAMP '2020-01-01 12:00:00'")["statements"][0]["node"][
        "where_clause"
    ]
    part = scan_estimate(DATASET, [0, 2], half)
    assert (part.rows, part.bytes) == (50, STREAM_OVERHEAD_BYTES + 1000)
    assert part.scanned_bytes == scanned_bytes(DATASET, [0, 2]) == 2000


def test_a_count_weighs_next_to_nothing() -> None:
    assert scan_estimate(DATASET, [], None).bytes == STREAM_OVERHEAD_BYTES
