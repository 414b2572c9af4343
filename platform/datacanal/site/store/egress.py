"""The egress book: every decision of the gate, and the budgets that releases use up, written in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from datacanal.domain.errors import BudgetExceeded, DatacanalError, QueryBudgetExceeded
from datacanal.protocol.plan import PlanColumn
from datacanal.site.policy import Allowance
from datacanal.site.record.book import RecordBook
from datacanal.site.record.entry import Decision, Entry, Kind, Recorded, classes_of
from datacanal.site.store.models import BudgetUseRow, OutputRow


@dataclass(frozen=True)
class Source:
    """A dataset of this site that flowed into a release, and the digest of the policy that it did under."""

    lake: str
    dataset: str
    snapshot: str
    policy: str = ""


@dataclass(frozen=True)
class Release:
    """What asks to leave: for another site (`transfer`), to the job's submitter (`result`), words of attempts (`log`).

    `governed` says that somebody outside may learn `rows` rounded only; `words` are what the record says besides.
    """

    tenant: str
    principal: str
    purpose: str | None
    job: str
    step: str
    kind: Kind
    receivers: tuple[str, ...]
    plan_digest: str
    digest: str
    rows: int
    bytes: int
    columns: tuple[PlanColumn, ...]
    sources: tuple[Source, ...]
    fence: int = 0
    withheld_groups: int = 0
    governed: bool = False
    words: str = ""


@dataclass(frozen=True)
class Charge:
    """What a release takes from one budget, and how much that budget allows. `day` is the site's own, in UTC."""

    lake: str
    budget: str
    subject: str
    day: str
    allowance: Allowance


@dataclass(frozen=True)
class QueryCharge:
    """One aggregate query over a dataset, of which the owner allows `limit` a day."""

    lake: str
    dataset: str
    day: str
    limit: int


@dataclass(frozen=True)
class Permission:
    """What a release costs and under which policies (lake to digest) it may leave."""

    charges: tuple[Charge, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    queries: tuple[QueryCharge, ...] = ()


class EgressBook:
    """A release of the same job, step and content is recorded and charged once, however often it comes."""

    def __init__(self, engine: Engine, record: RecordBook) -> None:
        self._engine = engine
        self._record = record

    def release(
        self,
        release: Release,
        permission: Permission,
        output: OutputRow | None,
        now_ms: int,
        also: Callable[[Session], None] | None = None,
    ) -> Recorded:
        """Record and charge the release, keep its output and do what has to be done with it, all or nothing.

        Raises `BudgetExceeded` or `QueryBudgetExceeded`; nothing is charged then.
        """
        entry = entry_of(release, permission.policies, now_ms, "released")
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            known = self._record.known(session, entry)
            if known is None:
                for charge in permission.charges:
                    _take(session, release, charge)
                for query in permission.queries:
                    _take_query(session, release, query)
            if output is not None:
                session.merge(output)
            if also is not None:
                also(session)
            return known or self._record.append(session, entry)

    def refuse(self, release: Release, policies: Mapping[str, str], error: DatacanalError, now_ms: int) -> Recorded:
        """Record that the release was refused, once per attempt."""
        return self._record.add(entry_of(release, policies, now_ms, "refused", f"{error.code}: {error.detail}"))


def entry_of(release: Release, policies: Mapping[str, str], now_ms: int, decision: Decision, reason: str = "") -> Entry:
    """The decision about the release, as the record holds it."""
    return Entry(
        at_ms=now_ms,
        kind=release.kind,
        decision=decision,
        tenant=release.tenant,
        principal=release.principal,
        purpose=release.purpose,
        job=release.job,
        step=release.step,
        fence=release.fence,
        receivers=release.receivers,
        plan_digest=release.plan_digest,
        policies=policies,
        snapshots={f"{source.lake}.{source.dataset}": source.snapshot for source in release.sources},
        columns=classes_of(release.columns),
        rows=release.rows,
        bytes=release.bytes,
        digest=release.digest,
        withheld_groups=release.withheld_groups,
        governed=release.governed or any(column.label.is_governed for column in release.columns),
        reason="; ".join(filter(None, (reason, release.words))),
    )


def _take(session: Session, release: Release, charge: Charge) -> None:
    use = _use(session, release, charge.lake, charge.budget, charge.subject, charge.day)
    use.rows += release.rows
    use.bytes += release.bytes
    allowed = charge.allowance
    for unit, used, limit in (("rows", use.rows, allowed.rows), ("bytes", use.bytes, allowed.bytes)):
        if limit is not None and used > limit:
            raise BudgetExceeded(
                rows=release.rows,
                bytes=release.bytes,
                budget=charge.budget,
                lake=charge.lake,
                limit=f"{limit} {unit}",
            )


def _take_query(session: Session, release: Release, charge: QueryCharge) -> None:
    use = _use(session, release, charge.lake, "aggregate_day", charge.dataset, charge.day)
    use.queries += 1
    if use.queries > charge.limit:
        raise QueryBudgetExceeded(limit=charge.limit, dataset=f"{charge.lake}.{charge.dataset}")


def _use(session: Session, release: Release, lake: str, budget: str, subject: str, day: str) -> BudgetUseRow:
    row = session.get(BudgetUseRow, (lake, budget, subject, day))
    if row is None:
        row = BudgetUseRow(
            lake=lake,
            budget=budget,
            subject=subject,
            day=day,
            rows=0,
            bytes=0,
            queries=0,
            tenant=release.tenant,
            principal=release.principal,
        )
        session.add(row)
    return row
