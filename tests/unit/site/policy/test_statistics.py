"""What the catalogue tells of values and counts, by the column's class."""

from __future__ import annotations

import pytest

from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn, Snapshot, SnapshotFile
from datacanal.protocol.labels import Label, PolicyClass
from datacanal.site.policy.statistics import told_statistics, told_summary

EXACT = ColumnStatistics(compressed_bytes=12_345, null_count=1_234, distinct_count=5_678, min="1", max="9")


def told(policy_class: PolicyClass = "public", mask: str | None = None, *, filtered: bool = False) -> ColumnStatistics:
    label = Label(policy_class=policy_class)
    column = DatasetColumn(name="x", type="BIGINT", label=label, mask=mask, statistics=EXACT)
    found = told_statistics(column, filtered=filtered).statistics
    assert found is not None
    return found


def test_a_column_without_statistics_stays_without() -> None:
    column = DatasetColumn(name="x", type="BIGINT")
    assert told_statistics(column, filtered=True) is column


@pytest.mark.parametrize(
    ("policy_class", "filtered", "valued"),
    [("public", False, True), ("public", True, False), ("masked", False, False), ("secret", False, False)],
)
def test_values_are_told_of_public_columns_whose_every_row_is_seen(
    policy_class: PolicyClass, filtered: bool, valued: bool
) -> None:
    found = told(policy_class, filtered=filtered)
    assert (found.min, found.max) == (("1", "9") if valued else (None, None))


def test_counts_are_rounded() -> None:
    found = told("secret")
    assert (found.compressed_bytes, found.null_count, found.distinct_count) != (12_345, 1_234, 5_678)
    assert found.null_count is not None


@pytest.mark.parametrize(("mask", "counted"), [(None, True), ("hash", True), ("year", False)])
def test_nobody_knows_how_many_values_a_mask_leaves_that_merges_them(mask: str | None, counted: bool) -> None:
    assert (told("masked", mask).distinct_count is not None) is counted


def test_counts_that_nobody_knows_stay_unknown() -> None:
    column = DatasetColumn(name="x", type="BIGINT", statistics=ColumnStatistics(compressed_bytes=7))
    found = told_statistics(column, filtered=False).statistics
    assert found is not None
    assert (found.null_count, found.distinct_count) == (None, None)


@pytest.mark.parametrize(("governed", "exact"), [(False, True), (True, False)])
def test_rows_and_bytes_are_rounded_where_the_dataset_is_governed(governed: bool, exact: bool) -> None:
    files = [SnapshotFile(path=name, size_bytes=54_321, etag="e", rows=4_321) for name in ("a", "b")]
    found = told_summary(Snapshot(id="snp_1", lake="t", dataset="p", columns=[], files=files), governed=governed)
    assert found.files == 2
    assert ((found.rows, found.bytes) == (8_642, 108_642)) is exact
