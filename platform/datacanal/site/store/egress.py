"""The egress book: every decision of the gate, and the budgets that releases use up, written in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from datacanal.domain.errors import BudgetExceeded, DatacanalError
from datacanal.protocol.plan import PlanColumn
from datacanal.site.policy import Allowance
from datacanal.site.store.models import BudgetUseRow, EgressRow, OutputRow


@dataclass(frozen=True)
class Source:
    """A dataset of this site that flowed into a release."""

    lake: str
    dataset: str
    snapshot: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """A table that asks to leave: for another site (`transfer`) or to the job's submitter (`result`)."""

    tenant: str
    principal: str
    purpose: str | None
    job: str
    step: str
    kind: str
    receivers: tuple[str, ...]
    plan_digest: str
    digest: str
    rows: int
    bytes: int
    columns: tuple[PlanColumn, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Charge:
    """What a release takes from one budget, and how much that budget allows."""

    lake: str
    budget: str
    subject: str
    day: str
    allowance: Allowance


@dataclass(frozen=True)
class Permission:
    """What a release costs and under which policies (lake to digest) it may leave."""

    charges: tuple[Charge, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)


class EgressBook:
    """Append-only. A release of the same job, step and content is written and charged once, however often it comes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def release(self, release: Release, permission: Permission, output: OutputRow, now_ms: int) -> None:
        """Record and charge the release and keep its output, all or nothing.

        Raises `BudgetExceeded`; nothing is charged then.
        """
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            if not _is_released(session, release):
                for charge in permission.charges:
                    _take(session, release, charge)
                session.add(_row(release, permission.policies, now_ms, "released", ""))
            session.merge(output)

    def refuse(self, release: Release, policies: Mapping[str, str], error: DatacanalError, now_ms: int) -> None:
        """Record that the release was refused."""
        row = _row(release, policies, now_ms, "refused", f"{error.code}: {error.detail}")
        columns = {
            column.key: getattr(row, column.key) for column in EgressRow.__table__.columns if column.key != "seq"
        }
        with Session(self._engine) as session, session.begin():
            session.execute(insert(EgressRow).values(columns).on_conflict_do_nothing())

    def records(self, job: str | None = None) -> Sequence[EgressRow]:
        """Every decision, or those about one job, in the order they were taken."""
        query = select(EgressRow).order_by(EgressRow.seq)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return session.scalars(query if job is None else query.where(EgressRow.job == job)).all()


def _is_released(session: Session, release: Release) -> bool:
    same = select(EgressRow.seq).where(
        EgressRow.job == release.job,
        EgressRow.step == release.step,
        EgressRow.digest == release.digest,
        EgressRow.decision == "released",
    )
    return session.scalar(same) is not None


def _take(session: Session, release: Release, charge: Charge) -> None:
    key = (charge.lake, charge.budget, charge.subject, charge.day)
    row = session.get(BudgetUseRow, key)
    if row is None:
        row = BudgetUseRow(
            lake=charge.lake,
            budget=charge.budget,
            subject=charge.subject,
            day=charge.day,
            rows=0,
            bytes=0,
            tenant=release.tenant,
            principal=release.principal,
        )
        session.add(row)
    row.rows += release.rows
    row.bytes += release.bytes
    allowed = charge.allowance
    for unit, used, limit in (("rows", row.rows, allowed.rows), ("bytes", row.bytes, allowed.bytes)):
        if limit is not None and used > limit:
            raise BudgetExceeded(
                rows=release.rows,
                bytes=release.bytes,
                budget=charge.budget,
                lake=charge.lake,
                limit=f"{limit} {unit}",
            )


def _row(release: Release, policies: Mapping[str, str], now_ms: int, decision: str, reason: str) -> EgressRow:
    return EgressRow(
        at_ms=now_ms,
        tenant=release.tenant,
        principal=release.principal,
        purpose=release.purpose,
        job=release.job,
        step=release.step,
        kind=release.kind,
        receivers=json.dumps(release.receivers, ensure_ascii=False),
        plan_digest=release.plan_digest,
        policies=json.dumps(policies, ensure_ascii=False),
        snapshots=json.dumps({f"{s.lake}.{s.dataset}": s.snapshot for s in release.sources}, ensure_ascii=False),
        columns=json.dumps([column.model_dump() for column in release.columns], ensure_ascii=False),
        rows=release.rows,
        bytes=release.bytes,
        digest=release.digest,
        decision=decision,
        reason=reason,
    )
