"""What a function returned, at the gate: charged to the owners of all that it was given, and recorded with its code."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.orm import Session
from tests.policy.forged import edited, lease_of
from tests.policy.forged_functions import allowed, approved, code_of, fed
from tests.policy.forging import IMAGE, NOON, World

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.plan import Plan
from datacanal.protocol.site import Done, Lease
from datacanal.site.engine.specification import TaskDone
from datacanal.site.outgoing import output_row, passage_of
from datacanal.site.store.models import BudgetUseRow
from datacanal.site.verifier import VerifiedStep
from datacanal.site.words.reads import reads_of

RETURNED = TaskDone(rows=7, bytes=700, digest="e" * 64, scanned_bytes=0, elapsed_ms=1)
DAY = NOON.date().isoformat()


def ready(world: World, plan: Plan, feeding: str) -> tuple[Lease, VerifiedStep]:
    """The function's own step, after what feeds it."""
    job = world.new_job()
    assert isinstance(world.run(lease_of(world, plan, feeding, job=job)), Done)
    lease = lease_of(world, plan, "python", job=job)
    return lease, world.verifier.verified(lease)


def release(world: World, lease: Lease, verified: VerifiedStep) -> None:
    file = world.home / "returned.arrow"
    row = output_row(lease, verified.step, f"out_{lease.job}", file, RETURNED, NOON, 3600)
    world.runner.gate.pass_out(passage_of(lease, verified, row), NOON)


def used(world: World, budget: str, subject: str, day: str) -> tuple[int, int]:
    with Session(world.books.engine) as session, session.begin():
        row = session.get(BudgetUseRow, ("transactions", budget, subject, day))
        return (0, 0) if row is None else (row.rows, row.bytes)


@pytest.mark.parametrize(("made", "feeding"), [(allowed, "dataset_0_query"), (fed, "own__query")])
def test_a_result_is_charged_to_the_datasets_that_flowed_in_and_recorded_with_code_and_image(
    world: World, made: object, feeding: str
) -> None:
    lease, verified = ready(world, made(world), feeding)  # type: ignore[operator]  # both make plans
    before = used(world, "dataset_day", "payments", DAY)
    release(world, lease, verified)
    assert used(world, "job", lease.job, "") == (7, 700)
    after = used(world, "dataset_day", "payments", DAY)
    assert (after[0] - before[0], after[1] - before[1]) == (7, 700)
    [*_, last] = world.entries(lease.job)
    entry = last.entry
    assert (entry.kind, entry.decision, entry.receivers) == ("result", "released", ["ana"])
    assert (entry.rows, entry.bytes, entry.digest) == (7, 700, RETURNED.digest)
    assert (entry.plan_digest, entry.snapshots) == (lease.plan_digest, {"transactions.payments": "snp_payments"})
    assert entry.reason == f"returned by the function 'f', code {code_of().digest}, image {IMAGE}"


def test_a_result_of_columns_that_are_not_free_does_not_leave(world: World) -> None:
    """Even if the look at the plan had let it pass."""
    lease, verified = ready(world, allowed(world), "dataset_0_query")
    key = next(column for column in world.dataset("payments").columns if column.name == "person")
    step = verified.step.model_copy(update={"columns": [key]})
    with pytest.raises(DatacanalError) as caught:
        release(world, lease, VerifiedStep(**{**vars(verified), "step": step}))
    assert caught.value.code == "policy_refused"
    [*_, last] = world.entries(lease.job)
    assert last.entry.decision == "refused"
    assert last.entry.reason.endswith(f"code {code_of().digest}, image {IMAGE}")


def test_what_a_function_printed_over_governed_columns_stays(world: World) -> None:
    def reads(plan: Plan) -> str | None:
        return reads_of(lease_of(world, plan, "python"))

    assert json.loads(reads(allowed(world)) or "") == ["transactions.payments"]
    assert json.loads(reads(fed(world)) or "") == ["people.persons", "transactions.payments"]
    assert reads(approved(world)) is None
    assert reads(edited(allowed(world), lambda d: d["steps"][-1].update(id="other"))) is None
