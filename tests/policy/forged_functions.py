"""Honest plans with a function, as a planner makes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from tests.policy.forged import authority_of, lease_of, people_scan, plan_of, taken
from tests.policy.forging import ISSUER, NOTHING, World

from datacanal.protocol.labels import Label
from datacanal.protocol.plan import (
    DatasetInput,
    Plan,
    PlanColumn,
    PythonCode,
    PythonEnvironment,
    PythonGiven,
    PythonWork,
    Step,
    StepInput,
)
from datacanal.protocol.site import Lease
from datacanal.site.approvals import Stewardship
from datacanal.site.store.approvals import Approval, ApprovalStore, Decision


def code_of(content: bytes = b"a function", source: str = "def f(ctx): ...") -> PythonCode:
    """A function; nobody here unpickles it."""
    return PythonCode(
        name="f",
        pickle=base64.b64encode(content).decode(),
        digest=hashlib.sha256(content).hexdigest(),
        source=source,
        environment=PythonEnvironment(python="3.11"),
    )


def function(given: Sequence[tuple[str, str, StepInput]], code: PythonCode | None = None) -> Step:
    """A step that runs a function over what it is given: kind, name, input."""
    inputs = [item for _, _, item in given]
    labels = [
        column.label for item in inputs for column in (item.columns if isinstance(item, DatasetInput) else item.shipped)
    ]
    label = Label(owners=Label().joined(*labels).owners)
    named = [
        PythonGiven.model_validate({"kind": kind, "name": name, "occurrence": item.occurrence})
        for kind, name, item in given
    ]
    return Step(
        id="python",
        site="core",
        kind="python",
        sql="",
        inputs=inputs,
        columns=[PlanColumn(name="channel", type="VARCHAR", label=label)],
        python=PythonWork(code=code or code_of(), given=named, workers=1, memory_bytes=2**30),
        estimate=NOTHING,
    )


def table(world: World, dataset: str, columns: str, step_id: str = "dataset_0_query") -> Step:
    """The step that makes a dataset's table for a function."""
    sql = f"SELECT {columns} FROM occ0.transactions.{dataset}"
    return world.step(step_id, "query", sql, [world.dataset(dataset)])


def over(world: World, dataset: str, columns: str) -> Plan:
    """A function over one dataset's columns."""
    made = table(world, dataset, columns)
    return plan_of([made, function([("dataset", f"transactions.{dataset}", taken(made, "occ0"))])])


@cache
def allowed(world: World) -> Plan:
    """What every function may be given."""
    return over(world, "payments", "id, born, channel")


@cache
def approved(world: World) -> Plan:
    """What a steward has to approve."""
    return over(world, "cards", "card, holder, credit")


@cache
def raw(world: World) -> Plan:
    """A dataset that is public altogether: its files."""
    return plan_of([function([("dataset", "transactions.rates", world.dataset("rates"))])])


@cache
def fed(world: World) -> Plan:
    """Two inputs: an answer of another site, and one of this site's own."""
    names = people_scan(id="people__query", kind="query", columns=people_scan().columns[1:])
    own = world.step(
        "own__query", "query", "SELECT channel FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    given = [("input", "people", taken(names, "occ0")), ("input", "own", taken(own, "occ1"))]
    return plan_of([names, own, function(given)])


def stewarded(world: World, plan: Plan, step_id: str, **changed: object) -> Lease:
    """The lease for a user who may read the cards too."""
    lease = lease_of(world, plan, step_id, **changed)
    asked = authority_of((lease.job, plan), groups=["risk", "stewarded"])
    return lease.model_copy(update={"authority": ISSUER.signed(asked)})


def requests(world: World) -> Mapping[str, Approval]:
    """What stewards were asked for, by the digest of the code."""
    return {each.code: each for each in ApprovalStore(world.books.engine).every()}


def decide(world: World, code: str, now: datetime, *, grant: bool = True, expires_ms: int | None = None) -> None:
    """What a steward says on the site's machine."""
    stewardship = Stewardship(ApprovalStore(world.books.engine), world.books.record)
    said = Decision(grant=grant, by="root", at_ms=int(now.timestamp() * 1000), expires_ms=expires_ms)
    stewardship.decide(stewardship.find(code), said)
