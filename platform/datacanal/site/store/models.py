"""The tables of a site's own store. Tenant and principal stand on every row; what the site does for itself is its own.

Documents are stored as their JSON text, instants as milliseconds since 1970 in UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from datacanal.site.record.entry import DECISIONS, KINDS
from datacanal.storage.tables import COUNTER, NAMING, Owned, one_of

SITE_ITSELF = {"tenant": "site", "principal": "site"}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text(), int: BigInteger()}  # noqa: RUF012  # SQLAlchemy reads it from the class


class SnapshotRow(Owned, Base):
    """A dataset's content at one moment; `seen_ms` is when a listing last found it current."""

    __tablename__ = "snapshots"
    __table_args__ = (Index(None, "lake", "dataset"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    lake: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str]
    document: Mapped[str]
    seen_ms: Mapped[int]


class FooterRow(Owned, Base):
    """A Parquet footer that need not be read again while the file keeps its etag."""

    __tablename__ = "footers"

    lake: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    etag: Mapped[str] = mapped_column(String(128), primary_key=True)
    document: Mapped[str]


class AttemptRow(Owned, Base):
    """One try of a step and what it came to. `said` holds the engine's own words, which may quote data: they stay.

    `reads` names the datasets (`lake.name`) that the words may quote; unknown ones keep them in.
    """

    __tablename__ = "attempts"

    job: Mapped[str] = mapped_column(String(64), primary_key=True)
    step: Mapped[str] = mapped_column(String(64), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    plan_digest: Mapped[str] = mapped_column(String(64))
    finished_ms: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(64))
    said: Mapped[str]
    reads: Mapped[str | None]


class OutputRow(Owned, Base):
    """What a step made and the gate released: a lossless Arrow stream, served to consumers or kept as the result."""

    __tablename__ = "outputs"
    __table_args__ = (Index(None, "job", "step"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    job: Mapped[str] = mapped_column(String(64))
    step: Mapped[str] = mapped_column(String(64))
    plan_digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str]
    rows: Mapped[int]
    bytes: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    scanned_bytes: Mapped[int]
    is_result: Mapped[bool]
    columns: Mapped[str]
    expires_ms: Mapped[int]


class ExportRow(Owned, Base):
    """A result in another format, made once."""

    __tablename__ = "exports"

    output: Mapped[str] = mapped_column(String(64), primary_key=True)
    format: Mapped[str] = mapped_column(String(16), primary_key=True)
    path: Mapped[str]
    bytes: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))


class RecordRow(Owned, Base):
    """One decision of the site, chained to the one before (see `site.record`). Triggers keep rows as they are."""

    __tablename__ = "record"
    __table_args__ = (
        one_of("kind", KINDS),
        one_of("decision", DECISIONS),
        Index(None, "job", "step"),
        # A release counts once however often it is attempted, a refusal once per attempt; who publishes may ask again.
        Index(
            "uq_record_released",
            "job", "step", "kind", "digest", "receivers",
            unique=True,
            sqlite_where=text("decision = 'released'"),
        ),
        Index(
            "uq_record_refused",
            "job", "step", "kind", "digest", "fence",
            unique=True,
            sqlite_where=text("decision = 'refused' AND job <> '' AND kind <> 'publication'"),
        ),
    )  # fmt: skip

    seq: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=False)
    at_ms: Mapped[int]
    purpose: Mapped[str | None]
    job: Mapped[str] = mapped_column(String(64))
    step: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    receivers: Mapped[str]
    plan_digest: Mapped[str] = mapped_column(String(64))
    policies: Mapped[str]
    snapshots: Mapped[str]
    columns: Mapped[str]
    rows: Mapped[int]
    bytes: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    withheld_groups: Mapped[int]
    governed: Mapped[int]
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class RecordHeadRow(Owned, Base):
    """The record's signed head, one row. An unsigned one was made by the migration and is signed at the next start."""

    __tablename__ = "record_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(String(128))


class BudgetUseRow(Owned, Base):
    """How much of one budget is used. `day` (the site's own, UTC) is empty where the budget is not a daily one."""

    __tablename__ = "budget_use"

    lake: Mapped[str] = mapped_column(String(64), primary_key=True)
    budget: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    rows: Mapped[int]
    bytes: Mapped[int]
    queries: Mapped[int] = mapped_column(default=0)
