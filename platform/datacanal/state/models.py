"""The tables. Tenant and principal stand on every row; states are checked by the database too.

Documents are stored as their JSON text. Columns ending in `_until` are monotonic seconds of the boot in `boots`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import BigInteger, TypeDecorator

from datacanal.domain.job import JobState
from datacanal.domain.product import VersionState
from datacanal.domain.step import StepState
from datacanal.storage.tables import COUNTER, NAMING, Owned, one_of

ROLES = ("admin", "operator", "steward", "analyst", "publisher", "developer", "site")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: goes in with any zone, comes out in UTC also from databases that drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime(), str: Text()}  # noqa: RUF012  # SQLAlchemy reads it from the class


class TokenRow(Owned, Base):
    """A token; of its secret only the digest. `principal` created it, `name` is who it speaks for.

    A token of the role `site` is used up by the one join that it is for.
    """

    __tablename__ = "tokens"
    __table_args__ = (one_of("role", ROLES),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    groups: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class JobRow(Owned, Base):
    """A job. `role` and `groups` are its submitter's as they were at submission: what its authorities say.

    Of a `python` job `sql` is the function's name and `python` the request; both that and the plan may be large.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        UniqueConstraint("tenant", "principal", "idempotency_key"),
        Index(None, "state", "principal", "id"),
        Index(None, "tenant", "principal", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    groups: Mapped[str]
    kind: Mapped[str] = mapped_column(String(16))
    sql: Mapped[str]
    python: Mapped[str | None] = mapped_column(deferred=True)
    params: Mapped[str]
    purpose: Mapped[str | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_digest: Mapped[str] = mapped_column(String(64))
    retry_of: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    problem: Mapped[str | None]
    waits: Mapped[str | None]
    plan: Mapped[str | None]
    result_step: Mapped[str | None] = mapped_column(String(64))
    result_expires_at: Mapped[datetime | None] = mapped_column(index=True)
    result_dropped: Mapped[bool] = mapped_column(default=False)
    queue_timeout_s: Mapped[float]
    run_timeout_s: Mapped[float]
    total_timeout_s: Mapped[float]
    submitted_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    planned_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    queue_until: Mapped[float]
    run_until: Mapped[float | None]
    total_until: Mapped[float]
    cancel_until: Mapped[float | None]

    steps: Mapped[list[StepRow]] = relationship(order_by="StepRow.position", lazy="selectin", back_populates="job")


class StepRow(Owned, Base):
    """A step of a plan; `output` and what follows describe the output of its finished attempt."""

    __tablename__ = "steps"
    __table_args__ = (one_of("state", StepState), Index(None, "state", "site"))

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int]
    site: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    needs: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    session: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[float | None]
    retry_until: Mapped[float | None]
    problem: Mapped[str | None]
    fraction: Mapped[float] = mapped_column(default=0.0)
    waits: Mapped[str | None]
    output: Mapped[str | None]

    job: Mapped[JobRow] = relationship(back_populates="steps")


class AttemptRow(Owned, Base):
    """One try of a step, kept after everything else of it is gone. `egress` holds what its site told of its record."""

    __tablename__ = "attempts"
    __table_args__ = (ForeignKeyConstraint(["job_id", "step_id"], ["steps.job_id", "steps.id"]),)

    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    step_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    site: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(16), default="running")
    problem: Mapped[str | None]
    elapsed_ms: Mapped[int | None]
    scanned_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    received: Mapped[str] = mapped_column(default="[]")
    egress: Mapped[str] = mapped_column(default="[]")


class EventRow(Owned, Base):
    """What happened to a job, in order; append-only."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "job_id", "seq"),)

    seq: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(32))
    data: Mapped[str]


class SessionRow(Owned, Base):
    """An agent that said hello. A new boot of the same instance replaces it; the newest speaks for its site."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("tenant", "site", "instance"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    site: Mapped[str] = mapped_column(String(64))
    instance: Mapped[str] = mapped_column(String(128))
    boot: Mapped[str] = mapped_column(String(128))
    hello: Mapped[str]
    began_at: Mapped[datetime]


class SiteRow(Owned, Base):
    __tablename__ = "sites"

    tenant: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime | None]


class SiteCertificateRow(Owned, Base):
    """A certificate that a site joined with, by which token; the one that was not replaced proves the site now."""

    __tablename__ = "site_certificates"
    __table_args__ = (Index(None, "tenant", "site"), Index(None, "fingerprint"))

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    site: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    certificate: Mapped[str]
    token_id: Mapped[str] = mapped_column(ForeignKey("tokens.id"))
    joined_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]


class LakeRow(Owned, Base):
    __tablename__ = "lakes"

    tenant: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    site: Mapped[str] = mapped_column(String(64))
    report: Mapped[str]


class DatasetRow(Owned, Base):
    __tablename__ = "datasets"

    tenant: Mapped[str] = mapped_column(String(128), primary_key=True)
    lake: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    site: Mapped[str] = mapped_column(String(64))
    report: Mapped[str]


class EffectRow(Owned, Base):
    """An intent, saved with the state that asks for it: tell a site to drop what it keeps for a job.

    Handed out with a poll; gone when the same session polls again, which shows that it got the reply.
    """

    __tablename__ = "effects"
    __table_args__ = (one_of("kind", ("drop",)), Index(None, "site", "id"))

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    site: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    created_at: Mapped[datetime]
    handed_to: Mapped[str | None] = mapped_column(String(64))


class BootRow(Owned, Base):
    """The boot of the machine whose monotonic clock the deadlines of this store are written in."""

    __tablename__ = "boots"

    id: Mapped[int] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


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
    keys: Mapped[int]
    rows: Mapped[int]
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
    seq: Mapped[int]
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
