"""What a site tells about its lakes: datasets, snapshots and the statistics that may leave."""

from __future__ import annotations

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem


class ColumnStatistics(Document):
    """Per column of one snapshot. Values (`min`, `max`) are given for public columns only, as DuckDB literals' text."""

    compressed_bytes: int = Field(ge=0, description="bytes of the column's chunks in the Parquet files")
    null_count: int | None = None
    distinct_count: int | None = Field(default=None, description="estimate, sketched at registration")
    min: str | None = None
    max: str | None = None


class DatasetColumn(Document):
    """One column: its name, its DuckDB type as DuckDB writes it, and what is known of its values."""

    name: str
    type: str
    partition: bool = Field(default=False, description="the value comes from the directory name (key=value)")
    statistics: ColumnStatistics | None = None


class SnapshotFile(Document):
    """One file of a snapshot; `etag` is strong: size, mtime and ctime in nanoseconds, inode."""

    path: str = Field(description="relative to the lake")
    size_bytes: int
    etag: str
    rows: int
    partition: dict[str, str] = Field(default_factory=dict)
    deletes: list[str] = Field(default_factory=list, description="delete files, for table formats to come")


class Snapshot(Document):
    """The exact content of a dataset at one moment. It stays at its site; others see `SnapshotSummary`."""

    id: str = Field(description="snp_ and the digest of the file list and the schema")
    lake: str
    dataset: str
    columns: list[DatasetColumn]
    files: list[SnapshotFile]


class SnapshotSummary(Document):
    """What the control plane knows of a snapshot."""

    id: str
    files: int
    rows: int
    bytes: int


class DatasetReport(Document):
    """One dataset as its site reports it; `problem` instead of columns where its files cannot be read."""

    lake: str
    name: str
    columns: list[DatasetColumn]
    snapshot: SnapshotSummary | None
    key: list[str] = Field(default_factory=list)
    problem: Problem | None = None


class LakeReport(Document):
    """One lake as its site reports it."""

    name: str
    policy_digest: str
    problem: Problem | None = None
