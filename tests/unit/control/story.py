"""A job's story on the store itself, told step by step: sites say hello, take leases, report, fall silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from datacanal.control.catalogue import remember_hello
from datacanal.control.changes import Change
from datacanal.control.desk import Desk
from datacanal.control.identity import Issuer
from datacanal.control.leases import (
    Agent,
    Around,
    Terms,
    finish,
    heartbeat,
    take_drops,
    take_leases,
)
from datacanal.control.store.opening import open_store
from datacanal.control.sweeping import sweep
from datacanal.domain.errors import (
    DatacanalError,
)
from datacanal.domain.job import PlanningStarted
from datacanal.protocol.plan import Plan
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import (
    Done,
    DropCommand,
    Failed,
    Finish,
    Heartbeat,
    Hello,
    Lease,
    Offer,
    Progress,
    Received,
)
from datacanal.state.models import AttemptRow, EventRow, JobRow
from datacanal.storage.places import EMBEDDED
from datacanal.testing.clock_fake import FakeClock
from datacanal.testing.compiler_fake import COLUMN

T = TypeVar("T")
CORE, USERS = Agent("default", "core", "ses_core"), Agent("default", "users", "ses_users")


def hello(site: str, boot: str = "boot1") -> Hello:
    return Hello(
        site=site,
        instance="a",
        boot=boot,
        protocol=1,
        plan_formats=[1],
        kernel="v2.0.0",
        functions="f",
        exchange=f"http://{site}",
        public_key=f"key-{site}",
        slots=2,
        lakes=[],
    )


ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"i" * 32))
TERMS = Terms(ISSUER, 86400)
AROUND = Around(frozenset({"core", "users"}), {"core": hello("core"), "users": hello("users")})


class Story:
    """A store, a clock, and agents that act on it one transaction at a time. `reopen` is kill and restart."""

    def __init__(self, home: Path, database: str = EMBEDDED) -> None:
        self._home = home
        self._database = database
        self.clock = FakeClock()
        self._open()
        for agent in (CORE, USERS):
            self.write(lambda change, site=agent.site: remember_hello(change, "default", hello(site), f"ses_{site}"))

    def _open(self) -> None:
        self.desk = Desk(open_store(self._home, self.clock, self._database), self.clock, result_expiry_s=86400)

    def reopen(self) -> None:
        self.desk.close()
        self._open()

    def write(self, work: Callable[[Change], T]) -> T:
        return self.desk.write_now(work)[0]

    def submit(self, plan: Plan, job: str = "job_1") -> None:
        def store(change: Change) -> None:
            row = JobRow(
                id=job, tenant="default", principal="ana", role="analyst", groups='["risk"]', kind="sql", sql="x",
                params="{}", purpose="fraud", request_digest="d",
                state="queued", queue_timeout_s=600, run_timeout_s=3600, total_timeout_s=7200,
                submitted_at=self.clock.now(), queue_until=self.clock.monotonic() + 600,
                total_until=self.clock.monotonic() + 7200,
            )  # fmt: skip
            change.session.add(row)
            change.session.flush()
            change.apply(row, PlanningStarted())
            change.plan(row, plan)

        self.write(store)

    def lease(self, agent: Agent, around: Around = AROUND) -> Lease | None:
        leases = self.write(lambda change: take_leases(change, agent, 1, around, TERMS))
        return leases[0] if leases else None

    def leased(self, agent: Agent) -> Lease:
        lease = self.lease(agent)
        assert lease is not None
        return lease

    def done(self, agent: Agent, lease: Lease) -> None:
        offers = [
            Offer(output="o", step=lease.step, site=agent.site, url="u", ticket=f"for-{item.public_key}", rows=7,
                  bytes=70, digest="d", columns=[COLUMN])
            for item in lease.consumers
        ]  # fmt: skip
        received = [Received(step=offer.step, rows=offer.rows, bytes=offer.bytes) for offer in lease.inputs]
        outcome = Done(
            output="o", rows=7, bytes=70, digest="d", columns=[COLUMN], offers=offers, scanned_bytes=1,
            elapsed_ms=1, received=received,
        )  # fmt: skip
        self.report(agent, lease, outcome)

    def failed(self, agent: Agent, lease: Lease, error: DatacanalError) -> None:
        self.report(agent, lease, Failed(problem=problem_of(error), elapsed_ms=1))

    def report(self, agent: Agent, lease: Lease, outcome: Done | Failed) -> None:
        report = Finish(session=agent.session, fence=lease.fence, outcome=outcome)
        self.write(lambda change: finish(change, agent, lease.job, lease.step, report))

    def beat(self, agent: Agent, lease: Lease, fraction: float = 0.0) -> list[str]:
        progress = Progress(job=lease.job, step=lease.step, fence=lease.fence, fraction=fraction)
        report = Heartbeat(session=agent.session, steps=[progress])
        return [item.step for item in self.write(lambda change: heartbeat(change, agent, report)).stop]

    def sweep(self, after_s: float = 0.0, away: str = "") -> None:
        self.clock.advance(after_s)
        self.write(lambda change: sweep(change, lambda _tenant, site: "it is away" if site == away else None))

    def state(self, job: str = "job_1") -> str:
        return self.desk.read_now(lambda session: session.get_one(JobRow, job).state)

    def problem(self) -> str:
        text = self.desk.read_now(lambda session: session.get_one(JobRow, "job_1").problem)
        return str(json.loads(text or "{}").get("code"))

    def drops(self, agent: Agent) -> list[DropCommand]:
        return self.write(lambda change: take_drops(change, agent))

    def events(self) -> list[str]:
        return self.desk.read_now(lambda session: list(session.scalars(select(EventRow.event).order_by(EventRow.seq))))

    def outcomes(self) -> list[str]:
        rows = select(AttemptRow.outcome).order_by(AttemptRow.step_id, AttemptRow.fence)
        return self.desk.read_now(lambda session: list(session.scalars(rows)))
