"""What a function is given at a site, and when a steward has to be asked: the agent's own decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.policy.forged import edited, lease_of, plan_of, refusal, taken
from tests.policy.forged_functions import (
    allowed,
    approved,
    code_of,
    decide,
    fed,
    function,
    over,
    raw,
    requests,
    stewarded,
)
from tests.policy.forging import IMAGE, NOON, World

from datacanal.domain.errors import ApprovalNeeded
from datacanal.protocol.plan import Plan
from datacanal.protocol.site import Done

# ---------------------------------------------------------------- what is honest passes


@pytest.mark.parametrize(("made", "step"), [(allowed, "dataset_0_query"), (fed, "own__query")])
def test_a_step_that_feeds_a_function_makes_what_may_be_seen(
    world: World, made: Callable[[World], Plan], step: str
) -> None:
    outcome = world.run(lease_of(world, made(world), step))
    assert isinstance(outcome, Done), outcome


def test_a_function_is_given_what_an_earlier_step_made_of_a_dataset(world: World) -> None:
    plan, job = allowed(world), world.new_job()
    assert isinstance(world.run(lease_of(world, plan, "dataset_0_query", job=job)), Done)
    found = world.verifier.verified(lease_of(world, plan, "python", job=job))
    assert found.python is not None
    [given] = found.python.tables
    assert (given.given.name, given.made_by) == ("transactions.payments", "dataset_0_query")
    assert given.use is not None
    assert given.use.snapshot.id == "snp_payments"
    assert [column.name for column in given.columns] == ["id", "born", "channel"]
    assert found.at_hand["dataset_0_query"].is_file()
    assert (found.python.image, found.python.work.code, found.python.asked) == (IMAGE, code_of(), None)


def test_a_function_is_given_the_files_of_what_is_public_altogether(world: World) -> None:
    found = world.verifier.verified(lease_of(world, raw(world), "python"))
    assert found.python is not None
    [given] = found.python.tables
    assert (given.made_by, given.use) == (None, found.datasets["occ0"])


def test_a_function_is_given_answers_of_other_sites(world: World) -> None:
    plan, job = fed(world), world.new_job()
    assert isinstance(world.run(lease_of(world, plan, "own__query", job=job)), Done)
    found = world.verifier.verified(lease_of(world, plan, "python", job=job))
    assert found.python is not None
    assert [(each.given.name, each.made_by, each.use) for each in found.python.tables] == [
        ("people", "people__query", None),
        ("own", "own__query", None),
    ]
    assert set(found.offers) == {"people__query"}


def test_rows_that_a_policy_hides_are_hidden_from_functions(world: World) -> None:
    """Every column is public, so only the site knows that the files hold more."""
    files = plan_of([function([("dataset", "transactions.orders", world.dataset("orders"))])])
    assert refusal(world, lease_of(world, files, "python")).code == "step_refused"
    made = world.run(lease_of(world, over(world, "orders", "id"), "dataset_0_query"))
    assert isinstance(made, Done)
    assert made.rows == 6


def test_an_answer_for_a_function_of_another_site_asks_no_steward_of_this_one(world: World) -> None:
    own = world.step(
        "own__query", "query", "SELECT channel FROM occ0.transactions.payments", [world.dataset("payments")]
    )
    elsewhere = function([("input", "own", taken(own, "occ0"))]).model_copy(update={"site": "users"})
    made = world.run(lease_of(world, plan_of([own, elsewhere]), "own__query"))
    assert isinstance(made, Done)
    assert [offer.step for offer in made.offers] == ["own__query"]


# ---------------------------------------------------------------- approvals


def test_governed_columns_wait_for_a_steward(world: World) -> None:
    code = code_of(b"not approved yet")
    plan = edited(approved(world), lambda d: d["steps"][-1]["python"].update(code=code.model_dump(mode="json")))
    for step in ("dataset_0_query", "python"):
        assert refusal(world, stewarded(world, plan, step)).code == "approval_needed"
    asked = requests(world)[code.digest]
    assert (asked.state, asked.name, asked.principal, asked.purpose) == ("requested", "f", "ana", "fraud")
    assert (asked.source, asked.image, asked.datasets) == (code.source, IMAGE, {"transactions.cards"})
    decide(world, code.digest, NOON)
    made = world.run(stewarded(world, plan, "dataset_0_query"))
    assert isinstance(made, Done), made


def granted(world: World, content: bytes) -> tuple[Plan, str]:
    """A plan whose function a steward approved, and the digest of that."""
    code = code_of(content)
    plan = edited(approved(world), lambda d: d["steps"][-1]["python"].update(code=code.model_dump(mode="json")))
    refusal(world, stewarded(world, plan, "dataset_0_query"))
    decide(world, code.digest, NOON)
    return plan, code.digest


def test_an_approval_is_for_one_image(world: World) -> None:
    plan, _ = granted(world, b"one image")
    world.verifier.verified(stewarded(world, plan, "dataset_0_query"))
    world.image = f"sha256:{'b' * 64}"
    try:
        assert refusal(world, stewarded(world, plan, "dataset_0_query")).code == "approval_needed"
    finally:
        world.image = IMAGE


def test_an_approval_that_is_revoked_or_over_holds_no_more(world: World) -> None:
    plan, digest = granted(world, b"for a while")
    decide(world, digest, NOON, grant=False)
    assert refusal(world, stewarded(world, plan, "dataset_0_query")).code == "approval_needed"
    decide(world, digest, NOON, expires_ms=int(NOON.timestamp() * 1000))
    assert refusal(world, stewarded(world, plan, "dataset_0_query")).code == "approval_needed"
    decide(world, digest, NOON, expires_ms=int(NOON.timestamp() * 1000) + 1)
    world.verifier.verified(stewarded(world, plan, "dataset_0_query"))


def test_what_a_function_made_stays_where_its_approval_was_revoked_meanwhile(world: World) -> None:
    plan, digest = granted(world, b"revoked in the middle")
    job = world.new_job()
    assert isinstance(world.run(stewarded(world, plan, "dataset_0_query", job=job)), Done)
    lease = stewarded(world, plan, "python", job=job)
    running = world.verifier.verified(lease)
    world.verifier.check_approved(lease, running)
    decide(world, digest, NOON, grant=False)
    with pytest.raises(ApprovalNeeded):
        world.verifier.check_approved(lease, running)
    [*_, last] = world.entries(job)
    assert (last.entry.decision, last.entry.step) == ("refused", "python")
    assert last.entry.reason.startswith("approval_needed: ")


def test_swapped_code_is_not_what_was_approved(world: World) -> None:
    plan, digest = granted(world, b"harmless")
    other = code_of(b"harmful").model_dump(mode="json")

    def swap(document: Any) -> None:
        document["steps"][-1]["python"]["code"].update(pickle=other["pickle"])

    assert refusal(world, stewarded(world, edited(plan, swap), "dataset_0_query")).code == "step_refused"
    assert digest in requests(world)


# ---------------------------------------------------------------- what a policy says


def test_a_dataset_that_no_function_may_read(world: World) -> None:
    direct = plan_of([function([("dataset", "transactions.salaries", world.dataset("salaries"))])])
    tabled = over(world, "salaries", "employee, salary")
    assert refusal(world, lease_of(world, direct, "python")).code == "policy_python_refused"
    assert refusal(world, lease_of(world, tabled, "dataset_0_query")).code == "policy_python_refused"


@pytest.mark.parametrize("column", ["person", "amount"])
def test_governed_columns_where_the_policy_asks_no_steward(world: World, column: str) -> None:
    plan = over(world, "payments", f"id, {column}")
    for step in ("dataset_0_query", "python"):
        assert refusal(world, lease_of(world, plan, step)).code == "policy_python_refused"


def test_a_dataset_of_somebody_who_may_not_read_it(world: World) -> None:
    assert refusal(world, lease_of(world, approved(world), "python")).code == "policy_not_a_reader"
