"""What a site tells about its lakes: datasets, snapshots and the statistics that may leave."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.labels import Label
from datacanal.protocol.problem import Problem

PythonAccess = Literal["allowed", "approval", "never"]


class ColumnStatistics(Document):
    """Per column of one snapshot. Values (`min`, `max`) are given for public columns only, as DuckDB literals' text."""

    compressed_bytes: int = Field(ge=0, description="bytes of the column's chunks in the Parquet files")
    null_count: int | None = None
    distinct_count: int | None = Field(default=None, description="estimate, sketched at registration")
    min: str | None = None
    max: str | None = None


class DatasetColumn(Document):
    """One column: its name, its DuckDB type as DuckDB writes it, and what is known of its values.

    In a report the type is that of the value behind its mask, and the statistics are what the column's class lets out.
    """

    name: str
    type: str
    label: Label = Label()
    mask: str | None = None
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


class ReportedGrant(Document):
    """A grant of the policy that names this dataset: `to` may use it for that purpose until then."""

    to: str
    purpose: str
    expires_s: int


class DatasetReport(Document):
    """One dataset as its site reports it; `problem` instead of columns where its files cannot be read."""

    lake: str
    name: str
    columns: list[DatasetColumn]
    snapshot: SnapshotSummary | None
    key: list[str] = Field(default_factory=list)
    entity: str | None = None
    readers: list[str] | None = Field(default=None, description='"group:NAME" or "principal:NAME"; null: every analyst')
    grants: list[ReportedGrant] = Field(default_factory=list)
    governed: bool = Field(default=False, description="not everything is public: row counts are rounded")
    python: PythonAccess = Field(default="allowed", description="whether functions may read it (docs/policy.md)")
    problem: Problem | None = None


class LakeReport(Document):
    """One lake as its site reports it."""

    name: str
    policy_digest: str
    problem: Problem | None = None
