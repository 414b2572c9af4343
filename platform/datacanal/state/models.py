"""The tables. Tenant and principal stand on every row; states are checked by the database too.

Documents are stored as their JSON text. Columns ending in `_until` are monotonic seconds of the boot in `boots`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import BigInteger

from datacanal.domain.job import JobState
from datacanal.domain.step import StepState
from datacanal.state.base import Base
from datacanal.storage.tables import COUNTER, Owned, one_of

ROLES = ("admin", "operator", "steward", "analyst", "publisher", "developer", "site")


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


_UNMETERED = text("finished_at IS NOT NULL AND metered_at IS NULL")


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
        Index("ix_jobs_unmetered", "id", sqlite_where=_UNMETERED, postgresql_where=_UNMETERED),
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
    metered_at: Mapped[datetime | None]
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
    elapsed_ms: Mapped[int | None] = mapped_column(BigInteger)
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
