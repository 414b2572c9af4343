"""What agents say about steps, applied to the store. Synchronous; each function runs inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, joinedload

from datacanal.control.changes import LEASE_S, Change
from datacanal.control.identity import Issuer, job_authority
from datacanal.control.signals import site_signal
from datacanal.domain import step as steps
from datacanal.domain.errors import NotFound, SessionLost, StaleFence
from datacanal.domain.job import StepMoved
from datacanal.domain.step import ACTIVE_STEPS, StepState
from datacanal.protocol.plan import Plan
from datacanal.protocol.problem import error_of
from datacanal.protocol.site import (
    Consumer,
    Done,
    DropCommand,
    Failed,
    Finish,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Lease,
    Offer,
    Progress,
    StepRef,
)
from datacanal.state.models import AttemptRow, EffectRow, SessionRow, StepRow

_LOOK_AT = 100


@dataclass(frozen=True)
class Agent:
    """An agent in one session. It sees only steps of its own site and tenant."""

    tenant: str
    site: str
    session: str


@dataclass(frozen=True)
class Around:
    """What a lease needs to know of the other sites."""

    connected: frozenset[str]
    hellos: Mapping[str, Hello]


@dataclass(frozen=True)
class Terms:
    """What every lease of this control plane carries: who signs for its submitter, and how long a result is kept."""

    issuer: Issuer
    result_expiry_s: float


def agent_of(session: Session, tenant: str, site: str, session_id: str) -> Agent:
    """The agent of that session. Raises `SessionLost`."""
    row = session.get(SessionRow, session_id)
    if row is None or row.tenant != tenant or row.site != site:
        raise SessionLost(site=site)
    return Agent(tenant, site, session_id)


def take_leases(change: Change, agent: Agent, free: int, around: Around, terms: Terms) -> list[Lease]:
    """Lease up to `free` ready steps of the agent's site to it, those of the oldest jobs first."""
    leases: list[Lease] = []
    for row in _ready(change, agent):
        if len(leases) == free:
            break
        plan = Plan.model_validate_json(row.job.plan or "")
        consumers = _consumers(plan, row.id, around)
        if consumers is None or not _inputs_reachable(row, around):
            continue
        change.apply(row.job, StepMoved(row.id, steps.Leased(agent.session)))
        leases.append(_lease(row, plan, consumers, terms))
    return leases


def _ready(change: Change, agent: Agent) -> list[StepRow]:
    ready = (
        select(StepRow)
        .where(
            StepRow.state == StepState.READY,
            StepRow.site == agent.site,
            StepRow.tenant == agent.tenant,
            or_(StepRow.retry_until.is_(None), StepRow.retry_until <= change.clock.monotonic()),
        )
        .order_by(StepRow.job_id, StepRow.position)
        .options(joinedload(StepRow.job))
        .limit(_LOOK_AT)
    )
    return list(change.session.scalars(ready))


def _consumers(plan: Plan, step_id: str, around: Around) -> list[Consumer] | None:
    """Who will fetch the step's output; None while one of their sites has never said hello."""
    transfers = [transfer for transfer in plan.transfers if transfer.from_step == step_id]
    if any(transfer.to_site not in around.hellos for transfer in transfers):
        return None
    return [
        Consumer(step=item.to_step, site=item.to_site, public_key=around.hellos[item.to_site].public_key)
        for item in transfers
    ]


def _inputs_reachable(row: StepRow, around: Around) -> bool:
    """A step whose input lies at a site that is away would only use up its attempts."""
    return all(step.site in around.connected for step in _producers(row))


def _producers(row: StepRow) -> list[StepRow]:
    needs = json.loads(row.needs)
    return [step for step in row.job.steps if step.id in needs]


def _lease(row: StepRow, plan: Plan, consumers: list[Consumer], terms: Terms) -> Lease:
    job, plan_digest = row.job, plan.digest
    return Lease(
        authority=terms.issuer.signed(job_authority(job, plan_digest, row.site, terms.result_expiry_s)),
        job=job.id,
        step=row.id,
        fence=row.fence,
        attempt=row.attempt,
        tenant=job.tenant,
        principal=job.principal,
        purpose=job.purpose,
        plan=plan,
        plan_digest=plan_digest,
        inputs=[offer for producer in _producers(row) for offer in _offers_for(plan, row.id, producer)],
        consumers=consumers,
        is_result=row.id == job.result_step,
        result_expiry_s=terms.result_expiry_s,
    )


def _offers_for(plan: Plan, consumer: str, producer: StepRow) -> list[Offer]:
    """The offer among the producer's that was minted for this consumer: they stand in the order of its consumers.

    None where both run at one site: nothing moves then.
    """
    consumers = [transfer.to_step for transfer in plan.transfers if transfer.from_step == producer.id]
    if consumer not in consumers:
        return []
    offers = Done.model_validate_json(producer.output or "").offers
    return offers if len(offers) != len(consumers) else [offers[consumers.index(consumer)]]


def take_drops(change: Change, agent: Agent) -> list[DropCommand]:
    """What the site may delete. What this session was handed before has arrived, as it polls again."""
    mine = (EffectRow.site == agent.site, EffectRow.tenant == agent.tenant)
    rows = change.session.scalars(select(EffectRow).where(*mine).order_by(EffectRow.id).limit(_LOOK_AT)).all()
    drops = []
    for row in rows:
        if row.handed_to == agent.session:
            change.session.delete(row)
        else:
            row.handed_to = agent.session
            drops.append(DropCommand(job=row.job_id))
    return drops


def start(change: Change, agent: Agent, job: str, step: str, fence: int) -> None:
    """The attempt runs. Raises `NotFound`, `StaleFence`."""
    row = _step(change, agent, job, step)
    change.apply(row.job, StepMoved(step, steps.Started(fence)))


def finish(change: Change, agent: Agent, job: str, step: str, report: Finish) -> None:
    """The attempt ended; saying so twice changes nothing. Raises `NotFound`, `StaleFence`."""
    row = _step(change, agent, job, step)
    if row.fence != report.fence:
        raise StaleFence(step=step, fence=report.fence)
    attempt = change.session.get_one(AttemptRow, (job, step, report.fence))
    # Also of a step that was cancelled meanwhile: what its site let out, it let out.
    attempt.egress = json.dumps([note.model_dump() for note in report.outcome.egress], ensure_ascii=False)
    if row.state not in ACTIVE_STEPS:
        return
    _record(attempt, report.outcome)
    match report.outcome:
        case Done():
            row.output = report.outcome.model_dump_json()
            row.fraction = 1.0
            change.apply(row.job, StepMoved(step, steps.Finished(report.fence)))
        case Failed(problem=problem):
            change.apply(row.job, StepMoved(step, steps.AttemptFailed(report.fence, error_of(problem))))


def _record(attempt: AttemptRow, outcome: Done | Failed) -> None:
    attempt.elapsed_ms = outcome.elapsed_ms
    attempt.received = json.dumps([item.model_dump() for item in outcome.received])
    if isinstance(outcome, Done):
        attempt.scanned_bytes = outcome.scanned_bytes


def _step(change: Change, agent: Agent, job: str, step: str) -> StepRow:
    row = change.session.get(StepRow, (job, step), options=[joinedload(StepRow.job)])
    if row is None or row.tenant != agent.tenant or row.site != agent.site:
        raise NotFound(what="step", name=f"{job}/{step}")
    return row


def heartbeat(change: Change, agent: Agent, report: Heartbeat) -> HeartbeatReply:
    """Renew the leases of the steps that the agent names; the answer names those that it must end."""
    stop: list[StepRef] = []
    for progress in report.steps:
        row = change.session.get(StepRow, (progress.job, progress.step))
        if row is None or not _holds(row, agent, progress):
            stop.append(StepRef(job=progress.job, step=progress.step, fence=progress.fence))
            continue
        row.lease_until = change.clock.monotonic() + LEASE_S
        _note_progress(change, row, progress)
        if row.job.cancel_requested:
            stop.append(StepRef(job=progress.job, step=progress.step, fence=progress.fence))
    return HeartbeatReply(stop=stop)


def _holds(row: StepRow, agent: Agent, progress: Progress) -> bool:
    return row.tenant == agent.tenant and row.session == agent.session and row.fence == progress.fence


def _note_progress(change: Change, row: StepRow, progress: Progress) -> None:
    row.waits = progress.waits
    if progress.fraction > row.fraction:
        row.fraction = progress.fraction
        change.note(row.job, "step_progress", step=row.id, fraction=progress.fraction)


def free_old_boot(change: Change, tenant: str, hello: Hello) -> str | None:
    """End the session that another boot of this instance held, and give its steps back at once.

    The id of the session where this very boot has said hello before, else None.
    """
    same_instance = {"tenant": tenant, "site": hello.site, "instance": hello.instance}
    known = change.session.scalars(select(SessionRow).filter_by(**same_instance)).first()
    if known is None:
        return None
    same_boot = known.boot == hello.boot
    if not same_boot:
        _lose(change, StepRow.session == known.id, f"the agent of site {hello.site} was started anew")
    change.session.delete(known)
    change.session.flush()
    return known.id if same_boot else None


def lose_expired(change: Change) -> None:
    """Take back the leases that nobody renewed."""
    late = StepRow.lease_until < change.clock.monotonic()
    _lose(change, late, f"its agent was not heard of for {LEASE_S:.0f} s")


def _lose(change: Change, which: object, reason: str) -> None:
    lost = select(StepRow).where(StepRow.state.in_(ACTIVE_STEPS), which)  # type: ignore[arg-type]  # any SQL condition
    for row in change.session.scalars(lost).all():
        change.apply(row.job, StepMoved(row.id, steps.LeaseLost(reason)))


def release_retries(change: Change) -> None:
    """Offer again the steps whose pause before the next attempt is over."""
    over = (StepRow.state == StepState.READY, StepRow.retry_until <= change.clock.monotonic())
    sites = set(change.session.scalars(select(StepRow.site).where(*over)))
    if sites:
        change.session.execute(update(StepRow).where(*over).values(retry_until=None))
        change.wakes |= {site_signal(site) for site in sites}
