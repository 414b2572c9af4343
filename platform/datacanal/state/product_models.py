"""The tables of data products and schedules; as in `models`, documents are stored as their JSON text."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from datacanal.domain.product import VersionState
from datacanal.state.base import Base
from datacanal.storage.tables import COUNTER, Owned, one_of


class RevisionRow(Owned, Base):
    """Counts the changes of products and tokens: a gateway reads everything again when it has grown."""

    __tablename__ = "revisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class ProductRow(Owned, Base):
    """A product; `principal` owns it. `contract`, `readers`, `sample` are documents of `protocol.products`."""

    __tablename__ = "products"

    tenant: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(127), primary_key=True)
    title: Mapped[str]
    description: Mapped[str]
    contract: Mapped[str]
    visibility: Mapped[str] = mapped_column(String(16))
    readers: Mapped[str]
    sample: Mapped[str]
    keep: Mapped[int]
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class VersionRow(Owned, Base):
    """A version and its one snapshot. Documents are those of `protocol.products` and the snapshot's manifest.

    `promote`: make it stable once it is staged. `role` and `groups` are what its publisher had when publishing it.
    """

    __tablename__ = "versions"
    __table_args__ = (
        one_of("state", VersionState),
        UniqueConstraint("tenant", "product", "major", "minor"),
        ForeignKeyConstraint(["tenant", "product"], ["products.tenant", "products.name"]),
    )

    snapshot: Mapped[str] = mapped_column(String(64), primary_key=True)
    product: Mapped[str] = mapped_column(String(127))
    major: Mapped[int]
    minor: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    promote: Mapped[bool] = mapped_column(default=False)
    role: Mapped[str] = mapped_column(String(16), default="publisher")
    groups: Mapped[str] = mapped_column(default="[]")
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    lineage: Mapped[str]
    contract: Mapped[str]
    manifest: Mapped[str | None]
    report: Mapped[str | None]
    problem: Mapped[str | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    staged_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @property
    def version(self) -> str:
        """`major.minor`."""
        return f"{self.major}.{self.minor}"


class ChannelRow(Owned, Base):
    """Where a channel pointed from then on; append-only, so that it also answers for the past. Null: nowhere."""

    __tablename__ = "channels"
    __table_args__ = (one_of("channel", ("stable", "canary")), Index(None, "tenant", "product", "channel", "id"))

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    product: Mapped[str] = mapped_column(String(127))
    channel: Mapped[str] = mapped_column(String(16))
    snapshot: Mapped[str | None] = mapped_column(ForeignKey("versions.snapshot"))
    share: Mapped[float] = mapped_column(default=0.0)
    labels: Mapped[str] = mapped_column(default="[]")
    reason: Mapped[str | None]
    at: Mapped[datetime]


class RestatementRow(Owned, Base):
    """Sessions whose values changed between two versions that were stable one after the other; `sessions` is JSON."""

    __tablename__ = "restatements"
    __table_args__ = (Index(None, "tenant", "product", "id"),)

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    product: Mapped[str] = mapped_column(String(127))
    old_snapshot: Mapped[str] = mapped_column(ForeignKey("versions.snapshot"))
    new_snapshot: Mapped[str] = mapped_column(ForeignKey("versions.snapshot"))
    sessions: Mapped[str]
    keys: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    at: Mapped[datetime]


class ConsentRow(Owned, Base):
    """An owner's answer about one dataset of one version, as its site told it."""

    __tablename__ = "consents"

    snapshot: Mapped[str] = mapped_column(ForeignKey("versions.snapshot"), primary_key=True)
    lake: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(255), primary_key=True)
    site: Mapped[str] = mapped_column(String(64))
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    policy_digest: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class ScheduleRow(Owned, Base):
    """When a job is submitted by itself, in its owner's name and with its rights of then; `request` is a JobRequest."""

    __tablename__ = "schedules"
    __table_args__ = (one_of("catch_up", ("none", "last", "all")), UniqueConstraint("tenant", "name"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    groups: Mapped[str]
    request: Mapped[str]
    cron: Mapped[str]
    timezone: Mapped[str] = mapped_column(String(64))
    calendar: Mapped[str | None] = mapped_column(String(16))
    catch_up: Mapped[str] = mapped_column(String(8))
    product: Mapped[str | None] = mapped_column(String(127))
    promote: Mapped[bool] = mapped_column(default=False)
    paused: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    next_at: Mapped[datetime | None]


_ACTIVE_RUN = text("state IN ('running', 'publishing')")


class ScheduleRunRow(Owned, Base):
    """A time that was due; one schedule never has two that run."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        one_of("state", ("waiting", "running", "publishing", "succeeded", "failed", "skipped")),
        UniqueConstraint("schedule_id", "due_at"),
        Index(
            "ux_schedule_runs_active",
            "schedule_id",
            unique=True,
            sqlite_where=_ACTIVE_RUN,
            postgresql_where=_ACTIVE_RUN,
        ),
        {"sqlite_autoincrement": True},  # the number of a run that was removed is never another's
    )

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id"))
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    snapshot: Mapped[str | None] = mapped_column(ForeignKey("versions.snapshot"))
    problem: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
