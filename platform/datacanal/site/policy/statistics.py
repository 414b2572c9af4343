"""What the catalogue tells of a governed dataset's values and counts. The site's own snapshots stay exact."""

from __future__ import annotations

from datacanal.domain.rounding import rounded
from datacanal.protocol.catalogue import ColumnStatistics, DatasetColumn, Snapshot, SnapshotSummary


def told_statistics(column: DatasetColumn, *, filtered: bool) -> DatasetColumn:
    """The column with what its class lets out: values only of public columns of datasets whose every row is seen.

    Counts are rounded. Behind a mask that merges values nobody knows how many there are.
    """
    exact = column.statistics
    if exact is None:
        return column
    valued = column.label.policy_class == "public" and not filtered
    merged = column.mask not in (None, "hash")
    told = ColumnStatistics(
        compressed_bytes=rounded(exact.compressed_bytes),
        null_count=None if exact.null_count is None else rounded(exact.null_count),
        distinct_count=None if exact.distinct_count is None or merged else rounded(exact.distinct_count),
        min=exact.min if valued else None,
        max=exact.max if valued else None,
    )
    return column.model_copy(update={"statistics": told})


def told_summary(snapshot: Snapshot, *, governed: bool) -> SnapshotSummary:
    """Rows and bytes as told; the number of files is no count of anybody."""
    rows = sum(file.rows for file in snapshot.files)
    size = sum(file.size_bytes for file in snapshot.files)
    return SnapshotSummary(
        id=snapshot.id,
        files=len(snapshot.files),
        rows=rounded(rows) if governed else rows,
        bytes=rounded(size) if governed else size,
    )
