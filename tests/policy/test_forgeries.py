"""What a false control plane, a false site or a thief sends straight to an agent is refused by the agent alone.

Each forgery is one thing wrong in what is otherwise an honest lease, mostly even signed by the issuer. Refused means:
the agent says the right code, and its record holds the refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.policy.forged import (
    BY_CHANNEL,
    THIEF,
    arriving,
    authority_of,
    columns_of,
    edited,
    grouped,
    lease_of,
    out,
    plan_of,
    refusal,
    signed,
    taken,
)
from tests.policy.forging import ISSUER, NOON, World

from datacanal.protocol.plan import Plan
from datacanal.protocol.site import Lease

# ---------------------------------------------------------------- what is honest passes


@pytest.mark.parametrize(("made", "step"), [(out, "scan"), (arriving, "query"), (grouped, "sums")])
def test_what_is_honest_passes(world: World, made: Callable[[World], Plan], step: str) -> None:
    verified = world.verifier.verified(lease_of(world, made(world), step))
    assert verified.step.id == step
    assert verified.authority.groups == ["risk"]


# ---------------------------------------------------------------- who asks

AUTHORITIES: dict[str, tuple[Callable[[World, Lease], Lease], str]] = {
    "none": (lambda _, lease: lease.model_copy(update={"authority": ""}), "authority_refused"),
    "signed by another issuer": (lambda _, lease: signed(lease, THIEF), "authority_refused"),
    "for another site": (lambda _, lease: signed(lease, audience="users"), "authority_refused"),
    "of another job": (lambda _, lease: signed(lease, job="job_0"), "authority_refused"),
    "of another plan": (lambda _, lease: signed(lease, plan="0" * 64), "authority_refused"),
    "of another tenant": (lambda _, lease: signed(lease, tenant="other"), "authority_refused"),
    "of another user": (lambda _, lease: signed(lease, principal="bob"), "authority_refused"),
    "for another purpose": (lambda _, lease: signed(lease, purpose="marketing"), "authority_refused"),
    "of somebody who may not submit": (lambda _, lease: signed(lease, role="steward"), "authority_refused"),
    "of a user without the group": (lambda _, lease: signed(lease, groups=["sales"]), "policy_not_a_reader"),
    "expired": (lambda _, lease: signed(lease, expires_s=int(NOON.timestamp()) - 301), "authority_refused"),
    "from a clock an hour ahead": (
        lambda _, lease: signed(lease, issued_s=int(NOON.timestamp()) + 3600),
        "authority_refused",
    ),
    "with the user changed in the lease": (
        lambda _, lease: lease.model_copy(update={"principal": "bob"}),
        "authority_refused",
    ),
    "with the tenant changed in the lease": (
        lambda _, lease: lease.model_copy(update={"tenant": "other"}),
        "authority_refused",
    ),
    "with the purpose taken from the lease": (
        lambda _, lease: lease.model_copy(update={"purpose": None}),
        "authority_refused",
    ),
    "taken over into another job": (
        lambda world, lease: lease.model_copy(update={"job": world.new_job()}),
        "authority_refused",
    ),
}


@pytest.mark.parametrize("name", AUTHORITIES)
def test_an_authority(world: World, name: str) -> None:
    forge, code = AUTHORITIES[name]
    assert refusal(world, forge(world, lease_of(world, out(world), "scan"))).code == code


def test_a_statement_changed_after_it_was_submitted_is_not_what_the_submitter_signed(world: World) -> None:
    plan = out(world)
    forged = edited(plan, lambda document: document.update(statement="SELECT note FROM transactions.payments"))
    lease = lease_of(world, forged, "scan")
    honest = ISSUER.signed(authority_of((lease.job, plan)))
    assert refusal(world, lease.model_copy(update={"authority": honest})).code == "authority_refused"


def test_a_clock_an_hour_off_is_told_with_both_times(world: World) -> None:
    lease = lease_of(world, out(world), "scan")
    world.clock.now = NOON - timedelta(hours=1)
    try:
        detail = refusal(world, lease).detail
    finally:
        world.clock.now = NOON
    assert "2030-05-01T12:00:00Z" in detail
    assert "2030-05-01T11:00:00Z" in detail


# ---------------------------------------------------------------- what is in the lake


def class_of(name: str, **changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        columns_of(document)[name]["label"].update(changed)

    return change


def origin_of(name: str, **changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        columns_of(document)[name]["label"]["origins"][0].update(changed)

    return change


def owners_of(**changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for column in columns_of(document).values():
            for owner in column["label"]["owners"]:
                owner.update(changed)

    return change


def item(**changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["steps"][0]["inputs"][0].update(changed)

    return change


LIES: dict[str, tuple[Callable[[Any], None], str]] = {
    "a secret called public": (class_of("note", policy_class="public", origins=[]), "labels_differ"),
    "a secret called masked": (class_of("note", policy_class="masked"), "labels_differ"),
    "a join key called public": (class_of("person", policy_class="public", origins=[]), "labels_differ"),
    "a join key whose origin says public": (origin_of("person", policy_class="public"), "labels_differ"),
    "an aggregate called public": (class_of("amount", policy_class="public", origins=[]), "labels_differ"),
    "an aggregate said to be released": (origin_of("amount", released=True), "labels_differ"),
    "a masked column called public": (class_of("born", policy_class="public"), "labels_differ"),
    "a smaller min_group": (origin_of("amount", min_group=2), "labels_differ"),
    "no min_group": (origin_of("amount", min_group=None), "labels_differ"),
    "a larger max_share": (origin_of("amount", max_share=1.0), "labels_differ"),
    "another entity": (origin_of("amount", entity="id"), "labels_differ"),
    "more buckets": (origin_of("amount", buckets=["100", "101"]), "labels_differ"),
    "no owner": (class_of("id", owners=[]), "labels_differ"),
    "nobody owns it": (
        lambda document: [column["label"].update(owners=[]) for column in columns_of(document).values()],
        "labels_differ",
    ),
    "another dataset's owner": (owners_of(dataset="cards"), "labels_differ"),
    "a policy that never was": (owners_of(policy="0" * 64), "policy_changed"),
    "the values behind a mask": (
        lambda document: columns_of(document)["born"].update(type="TIMESTAMP"),
        "step_refused",
    ),
    "a column left out": (lambda document: document["steps"][0]["inputs"][0]["columns"].pop(), "step_refused"),
    "the snapshot of another dataset": (item(snapshot="snp_cards"), "step_refused"),
    "a snapshot that never was": (item(snapshot="snp_0"), "step_refused"),
    "the name of another dataset": (item(dataset="cards"), "step_refused"),
    "a lake of another site": (item(lake="people"), "step_refused"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_dataset(world: World, name: str) -> None:
    forge, code = LIES[name]
    assert refusal(world, lease_of(world, edited(out(world), forge), "scan")).code == code


def test_a_dataset_that_the_user_may_not_read(world: World) -> None:
    cards = world.step("scan", "scan", "SELECT card FROM occ0.transactions.cards", [world.dataset("cards")])
    given = taken(cards, "occ0", "transactions", "cards")
    query = world.step("query", "query", "SELECT card FROM occ0.transactions.cards", [given], site="users")
    error = refusal(world, lease_of(world, plan_of([cards, query]), "scan"))
    assert error.code == "policy_not_a_reader"
    assert "transactions.cards" in error.detail


# ---------------------------------------------------------------- what kind of step it is


def step_of(place: int, **changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["steps"][place].update(changed)

    return change


def protected(**changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["steps"][0]["protection"].update(changed)

    return change


SHAPES: dict[str, tuple[Callable[[World], Plan], str, Callable[[Any], None]]] = {
    "an aggregate called a scan": (grouped, "sums", step_of(0, kind="scan")),
    "an aggregate called a subtree": (grouped, "sums", step_of(0, kind="subtree")),
    "an aggregate without its protection": (grouped, "sums", step_of(0, protection=None)),
    "an aggregate without protection and relation": (grouped, "sums", step_of(0, protection=None, relation=[])),
    "a scan with a protection": (out, "scan", step_of(0, protection=BY_CHANNEL.model_dump())),
    "a scan with a relation": (out, "scan", step_of(0, relation=[{"name": "g0", "type": "BIGINT"}])),
    "a scan of nothing": (out, "scan", step_of(0, inputs=[])),
    "a scan of another step's output": (
        arriving,
        "query",
        lambda document: document["steps"][1].update(kind="scan"),
    ),
    "two inputs of one name": (
        arriving,
        "query",
        lambda document: document["steps"][1]["inputs"][1].update(occurrence="occ0"),
    ),
    "an input with a name that is none": (out, "scan", item(occurrence="occ0; DROP")),
    "a protection without entities": (grouped, "sums", protected(entities=[])),
    "a protection that counts somebody else": (
        grouped,
        "sums",
        protected(entities=[{"column": "e0", "lake": "transactions", "dataset": "cards"}]),
    ),
    "a protection that counts a measure": (
        grouped,
        "sums",
        protected(entities=[{"column": "m0", "lake": "transactions", "dataset": "payments"}]),
    ),
    "a protection that groups by the individual": (grouped, "sums", protected(groups=["e0"])),
    "a protection that measures the individual": (
        grouped,
        "sums",
        protected(measures=[{"function": "sum", "column": "e0"}]),
    ),
    "a protection of a column that is not there": (
        grouped,
        "sums",
        protected(measures=[{"function": "sum", "column": "m1"}]),
    ),
    "a count of rows that has a column": (
        grouped,
        "sums",
        protected(measures=[{"function": "count_star", "column": "m0"}]),
    ),
    "a sum of nothing": (grouped, "sums", protected(measures=[{"function": "sum", "column": None}])),
    "a group of another type": (
        grouped,
        "sums",
        lambda document: document["steps"][0]["columns"][0].update(type="BIGINT"),
    ),
    "more columns than groups and measures": (
        grouped,
        "sums",
        lambda document: document["steps"][0]["columns"].append({"name": "a1", "type": "DOUBLE"}),
    ),
    "two steps of one id": (grouped, "sums", step_of(1, id="sums")),
    "an instant that is none": (out, "scan", lambda document: document.update(now="1); DROP")),
    "an instant without a zone": (out, "scan", lambda document: document.update(now="2030-05-01T12:00:00")),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_step_that_is_none(world: World, name: str) -> None:
    made, step, forge = SHAPES[name]
    assert refusal(world, lease_of(world, edited(made(world), forge), step)).code == "step_refused"


LEASES: dict[str, dict[str, object]] = {
    "of a plan with another digest": {"plan_digest": "0" * 64},
    "of a step that is another site's": {"step": "query"},
    "of a step that is nobody's": {"step": "nothing"},
    "of a scan as the result": {"is_result": True},
    "of a step with a path for an id": {"step": "../../etc"},
    "without a fence": {"fence": 0},
    "with a fence beyond counting": {"fence": 10**30},
    "that keeps the result for ever": {"result_expiry_s": float("inf")},
}


@pytest.mark.parametrize("name", LEASES)
def test_a_lease(world: World, name: str) -> None:
    lease = lease_of(world, out(world), "scan").model_copy(update=LEASES[name])
    assert refusal(world, lease).code == "step_refused"


def test_a_job_with_a_path_for_an_id(world: World) -> None:
    lease = lease_of(world, out(world), "scan", job="../job")
    assert refusal(world, lease).code == "step_refused"


@pytest.mark.parametrize(("made", "step"), [(out, "scan"), (grouped, "sums")])
def test_a_step_that_makes_the_result_without_being_the_query(
    world: World, made: Callable[[World], Plan], step: str
) -> None:
    forged = edited(made(world), lambda document: document.update(result_step=step, transfers=[]))
    assert refusal(world, lease_of(world, forged, step)).code == "step_refused"


def test_a_query_that_is_not_the_result_but_goes_to_another_site(world: World) -> None:
    def forge(document: Any) -> None:
        document["steps"][0]["kind"] = "query"

    assert refusal(world, lease_of(world, edited(out(world), forge), "scan")).code == "step_refused"


def test_another_kernel_than_the_plan_was_made_for(world: World) -> None:
    forged = edited(out(world), lambda document: document.update(kernel="1.5.5"))
    assert refusal(world, lease_of(world, forged, "scan")).code == "kernel_mismatch"


def test_another_list_of_functions_than_the_site_s(world: World) -> None:
    forged = edited(out(world), lambda document: document.update(functions="0" * 64))
    assert refusal(world, lease_of(world, forged, "scan")).code == "kernel_mismatch"
