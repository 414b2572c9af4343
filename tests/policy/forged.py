"""Honest plans and leases, as a planner and a coordinator make them, and ways to forge them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.policy.forging import ISSUER, NOON, NOTHING, World

from datacanal.control.identity import Issuer
from datacanal.domain.errors import DatacanalError
from datacanal.planning.functions import functions_digest
from datacanal.protocol.authority import Authority
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import (
    Entity,
    Estimate,
    Measure,
    Meeting,
    Plan,
    PlanColumn,
    Protection,
    Step,
    Transfer,
    TransferInput,
)
from datacanal.protocol.site import Consumer, Failed, Lease, Offer

THIEF = Issuer(Ed25519PrivateKey.from_private_bytes(b"t" * 32))
BY_CHANNEL = Protection(
    groups=["g0"],
    measures=[Measure(function="sum", column="m0")],
    entities=[Entity(column="e0", lake="transactions", dataset="payments")],
)


def plan_of(steps: Sequence[Step]) -> Plan:
    """The plan of the steps; what crosses sites is a transfer."""
    made = {step.id: step for step in steps}
    moves = [
        Transfer(
            from_step=item.from_step,
            to_step=step.id,
            from_site=made[item.from_step].site,
            to_site=step.site,
            kind="count" if item.counted else "relation",
            dataset=f"{item.lake}.{item.dataset}",
            estimate=NOTHING,
            reason="",
        )
        for step in steps
        for item in step.inputs
        if isinstance(item, TransferInput) and made[item.from_step].site != step.site
    ]
    return Plan(
        kernel=duckdb.__version__,
        functions=functions_digest(),
        statement="SELECT 1",
        now=NOON.isoformat(),
        steps=list(steps),
        transfers=moves,
        result_step=steps[-1].id,
        columns=steps[-1].columns,
        meeting=Meeting(site=steps[-1].site, bytes=0, reason=""),
    )


def authority_of(given: tuple[str, Plan], **changed: object) -> Authority:
    """What the submitter of that job asked for, with that plan."""
    job, plan = given
    asked = Authority(
        job=job,
        tenant="default",
        principal="ana",
        role="analyst",
        groups=["risk"],
        purpose="fraud",
        statement="0" * 64,
        plan=plan.digest,
        audience="core",
        issued_s=int(NOON.timestamp()),
        expires_s=int((NOON + timedelta(hours=2)).timestamp()),
    )
    return asked.model_copy(update=changed)


def lease_of(world: World, plan: Plan, step_id: str, **changed: object) -> Lease:
    """The lease of an honest coordinator, signed for whatever the plan says."""
    job = str(changed.pop("job", "") or world.new_job())
    moves = [move for move in plan.transfers if move.from_step == step_id]
    senders = [move.from_step for move in plan.transfers if move.to_step == step_id]
    given = Lease(
        authority=ISSUER.signed(authority_of((job, plan))),
        job=job,
        step=step_id,
        fence=1,
        attempt=1,
        tenant="default",
        principal="ana",
        purpose="fraud",
        plan=plan,
        plan_digest=plan.digest,
        inputs=[offer_of(plan.step(sender)) for sender in senders],
        consumers=[
            Consumer(step=move.to_step, site=move.to_site, public_key=world.keys["users"].public) for move in moves
        ],
        is_result=plan.result_step == step_id,
        result_expiry_s=86400,
    )
    return given.model_copy(update=changed)


def offer_of(sender: Step) -> Offer:
    """Where the output of another site's step waits."""
    return Offer(
        output="out_1",
        step=sender.id,
        site=sender.site,
        url="https://10.1.2.3:8410/v1/transfers/out_1",
        ticket="ticket",
        rows=1,
        bytes=1,
        digest="d" * 64,
        columns=sender.columns,
    )


def taken(sender: Step, occurrence: str = "occ1", lake: str = "", dataset: str = "") -> TransferInput:
    """The output of a step as another one reads it."""
    return TransferInput(
        occurrence=occurrence,
        lake=lake or "step",
        dataset=dataset or sender.id,
        from_step=sender.id,
        shipped=sender.columns,
        columns=sender.columns,
    )


@cache
def out(world: World) -> Plan:
    """Payments go from core to users, where the result is made."""
    scan = world.step(
        "scan", "scan", "SELECT id, person, channel FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    given = taken(scan, "occ0", "transactions", "payments")
    query = world.step("query", "query", "SELECT channel FROM occ0.transactions.payments", [given], site="users")
    return plan_of([scan, query])


@cache
def arriving(world: World) -> Plan:
    """People come from users to core, where the result is made."""
    people = people_scan()
    given = taken(people, "occ1", "people", "persons")
    sql = "SELECT p.channel, q.name FROM occ0.transactions.payments p JOIN occ1.people.persons q ON p.person = q.person"
    query = world.step("query", "query", sql, [world.dataset("payments"), given])
    return plan_of([people, query])


def people_scan(**changed: object) -> Step:
    """A scan at the other site, under a policy that core never sees."""
    owner = {"lake": "people", "dataset": "persons", "policy": "p" * 64}
    origin = {"lake": "people", "dataset": "persons", "column": "person", "policy_class": "join_key"}
    key = Label.model_validate({"policy_class": "join_key", "owners": [owner], "origins": [origin]})
    free = Label.model_validate({"owners": [owner]})
    snapshot = {"kind": "dataset", "occurrence": "occ0", "lake": "people", "dataset": "persons", "snapshot": "snp_p",
                "columns": []}  # fmt: skip
    columns = [
        PlanColumn(name="person", type="BIGINT", label=key),
        PlanColumn(name="name", type="VARCHAR", label=free),
    ]
    made = Step.model_validate(
        {"id": "people", "site": "users", "kind": "scan", "sql": "SELECT person, name FROM occ0.people.persons",
         "inputs": [snapshot], "columns": columns, "estimate": Estimate(rows=1, bytes=1)}
    )  # fmt: skip
    return made.model_copy(update=changed)


@cache
def grouped(world: World) -> Plan:
    """Payments are summed and guarded at core, and the result is made there of what the gate let through."""
    sql = "SELECT channel AS g0, amount AS m0, person AS e0 FROM occ0.transactions.payments"
    sums = world.aggregate("sums", sql, [world.dataset("payments")], BY_CHANNEL)
    query = world.step("query", "query", "SELECT g0, a0 FROM occ1.step.sums", [taken(sums)])
    return plan_of([sums, query])


def edited(plan: Plan, change: Callable[[Any], None]) -> Plan:
    """The plan with something changed in its document."""
    document = plan.model_dump(mode="json")
    change(document)
    return Plan.model_validate(document)


def columns_of(document: Any, step: int = 0, place: int = 0) -> dict[str, Any]:
    """The columns of a step's dataset, by name, to be forged."""
    return {column["name"]: column for column in document["steps"][step]["inputs"][place]["columns"]}


def refusal(world: World, lease: Lease) -> DatacanalError:
    """The agent's refusal, which its record holds too."""
    before = len(world.entries(lease.job))
    with pytest.raises(DatacanalError) as caught:
        world.verifier.verified(lease)
    [*_, last] = world.entries(lease.job)
    assert len(world.entries(lease.job)) == before + 1
    assert (last.entry.decision, last.entry.step) == ("refused", lease.step)
    assert last.entry.reason.startswith(f"{caught.value.code}: ")
    return caught.value


def signed(lease: Lease, issuer: Issuer = ISSUER, **changed: object) -> Lease:
    """The lease with an authority that says something else."""
    authority = authority_of((lease.job, lease.plan), **changed)
    return lease.model_copy(update={"authority": issuer.signed(authority)})


def told(world: World, lease: Lease) -> str:
    """The code of the agent's failure, which its record holds too."""
    outcome = world.run(lease)
    assert isinstance(outcome, Failed), outcome
    [*_, last] = world.entries(lease.job)
    assert (last.entry.decision, last.entry.step) == ("refused", lease.step)
    assert last.entry.reason.startswith(f"{outcome.problem.code}: ")
    return outcome.problem.code


def stream_of(metadata: dict[str, str] | None) -> bytes:
    """People, as the other site sends them."""
    schema = pa.schema([("person", pa.int64()), ("name", pa.string())], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["Ada"])], schema=schema))
    content: bytes = sink.getvalue().to_pybytes()
    return content
