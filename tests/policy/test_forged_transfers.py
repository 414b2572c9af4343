"""Whom outputs go to, what arrives, what lies here already, leases from the past: forged, refused and recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.policy.forged import (
    THIEF,
    arriving,
    edited,
    grouped,
    lease_of,
    offer_of,
    out,
    people_scan,
    refusal,
    signed,
    stream_of,
    told,
)
from tests.policy.forging import World

from datacanal.domain.errors import DatacanalError
from datacanal.protocol.plan import PlanColumn, Step
from datacanal.protocol.site import Consumer, Done, Lease
from datacanal.site.labels_seal import LABELS_KEY, sealed
from datacanal.site.store.models import OutputRow

# ---------------------------------------------------------------- who gets it


def attacker(world: World) -> Consumer:
    return Consumer(step="query", site="users", public_key=world.keys["attacker"].public)


def elsewhere(document: Any) -> None:
    """The result is made at a site that nobody pinned."""
    document["steps"][1]["site"] = "attacker"
    document["transfers"][0]["to_site"] = "attacker"


def test_a_consumer_with_an_attacker_s_key(world: World) -> None:
    lease = lease_of(world, out(world), "scan", consumers=[attacker(world)])
    assert refusal(world, lease).code == "step_refused"


def test_a_consumer_at_a_site_that_nobody_pinned(world: World) -> None:
    lease = lease_of(world, edited(out(world), elsewhere), "scan")
    lease = lease.model_copy(update={"consumers": [attacker(world).model_copy(update={"site": "attacker"})]})
    assert refusal(world, lease).code == "peer_unknown"


def test_a_consumer_beside_the_planned_one(world: World) -> None:
    honest = lease_of(world, out(world), "scan")
    lease = honest.model_copy(update={"consumers": [*honest.consumers, attacker(world)]})
    assert refusal(world, lease).code == "step_refused"


def test_a_consumer_that_reads_no_such_step(world: World) -> None:
    forged = edited(out(world), lambda document: document["steps"][1].update(inputs=[]))
    assert refusal(world, lease_of(world, forged, "scan")).code == "step_refused"


def test_a_transfer_that_says_it_stays_here(world: World) -> None:
    forged = edited(out(world), lambda document: document["transfers"][0].update(to_site="core"))
    assert refusal(world, lease_of(world, forged, "scan")).code == "step_refused"


def test_a_result_that_another_step_gets_too(world: World) -> None:
    lease = lease_of(world, arriving(world), "query", consumers=[attacker(world)])
    assert refusal(world, lease).code == "step_refused"


# ---------------------------------------------------------------- what arrives

OFFERS: dict[str, dict[str, object]] = {
    "at an attacker's door that is no exchange": {"url": "https://10.9.9.9/steal"},
    "of another output's address": {"url": "https://10.1.2.3:8410/v1/transfers/out_2"},
    "in plain http from afar": {"url": "http://10.1.2.3:8410/v1/transfers/out_1"},
    "with a user in the address": {"url": "https://users@10.9.9.9/v1/transfers/out_1"},
    "without a host": {"url": "https:///v1/transfers/out_1"},
    "of a file": {"url": "file:///v1/transfers/out_1"},
    "from another site": {"site": "attacker"},
    "without a digest": {"digest": ""},
    "of an output with a path for an id": {
        "output": "../out",
        "url": "https://10.1.2.3:8410/v1/transfers/../out",
    },
    "of another step": {"step": "query"},
    "of less than nothing": {"bytes": -1},
    "with other columns": {"columns": [PlanColumn(name="person", type="BIGINT")]},
}


@pytest.mark.parametrize("name", OFFERS)
def test_an_offer(world: World, name: str) -> None:
    plan = arriving(world)
    offer = offer_of(plan.step("people")).model_copy(update=OFFERS[name])
    assert refusal(world, lease_of(world, plan, "query", inputs=[offer])).code == "step_refused"


def test_an_offer_of_a_site_that_nobody_pinned(world: World) -> None:
    def forge(document: Any) -> None:
        document["steps"][0]["site"] = "attacker"
        document["transfers"][0]["from_site"] = "attacker"

    assert refusal(world, lease_of(world, edited(arriving(world), forge), "query")).code == "peer_unknown"


def test_offers_that_are_missing_or_too_many(world: World) -> None:
    plan = arriving(world)
    offer = offer_of(plan.step("people"))
    assert refusal(world, lease_of(world, plan, "query", inputs=[])).code == "step_refused"
    assert refusal(world, lease_of(world, plan, "query", inputs=[offer, offer])).code == "step_refused"


def read_as(**changed: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["steps"][1]["inputs"][1].update(changed)

    return change


def read_free(document: Any) -> None:
    """The join key is read as a public column."""
    for column in document["steps"][1]["inputs"][1]["columns"]:
        column["label"]["policy_class"] = "public"


READINGS: dict[str, Callable[[Any], None]] = {
    "as public": read_free,
    "as fewer columns than were sent": lambda document: document["steps"][1]["inputs"][1]["shipped"].pop(),
    "as the dataset of another lake": read_as(lake="other"),
    "as another dataset": read_as(dataset="others"),
    "as a step's": read_as(lake="step", dataset="people"),
    "as a count": read_as(counted=True),
    "from a step that is not there": read_as(from_step="nothing"),
    "from itself": read_as(from_step="query"),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_transfer_that_is_read(world: World, name: str) -> None:
    assert refusal(world, lease_of(world, edited(arriving(world), READINGS[name]), "query")).code == "step_refused"


def test_the_number_of_rows_of_something_governed_is_no_count(world: World) -> None:
    def forge(document: Any) -> None:
        document["steps"][0]["columns"] = [document["steps"][0]["columns"][0]]
        document["steps"][1]["inputs"][1].update(counted=True, shipped=[])

    assert refusal(world, lease_of(world, edited(arriving(world), forge), "query")).code == "step_refused"


# ---------------------------------------------------------------- the labels of what arrives


def test_people_as_the_other_site_signed_them_arrive(world: World) -> None:
    lease = lease_of(world, arriving(world), "query")
    world.post.content = stream_of(sealed(lease, people_scan(), world.keys["users"]))
    outcome = world.run(lease)
    assert isinstance(outcome, Done), outcome
    assert outcome.rows == 10


def freed() -> Step:
    """The step's join key called public."""
    columns = people_scan().columns
    free = [column.model_copy(update={"label": columns[1].label}) for column in columns]
    return people_scan(columns=free)


def relabelled(metadata: dict[str, str]) -> dict[str, str]:
    return {**metadata, LABELS_KEY: metadata[LABELS_KEY].replace("join_key", "public")}


def in_job(lease: Lease, job: str) -> Lease:
    return lease.model_copy(update={"job": job})


TRANSFERS: dict[str, tuple[Callable[[World, Lease], bytes], str]] = {
    "without labels": (lambda _, __: stream_of(None), "labels_differ"),
    "with labels edited": (
        lambda world, lease: stream_of(relabelled(sealed(lease, people_scan(), world.keys["users"]))),
        "labels_differ",
    ),
    "with labels edited and signed with another key": (
        lambda world, lease: stream_of(sealed(lease, freed(), world.keys["attacker"])),
        "labels_differ",
    ),
    "with labels edited and signed by its sender": (
        lambda world, lease: stream_of(sealed(lease, freed(), world.keys["users"])),
        "labels_differ",
    ),
    "with true labels signed with another key": (
        lambda world, lease: stream_of(sealed(lease, people_scan(), world.keys["attacker"])),
        "labels_differ",
    ),
    "with the labels of another step": (
        lambda world, lease: stream_of(sealed(lease, people_scan(id="other"), world.keys["users"])),
        "labels_differ",
    ),
    "with the labels of another job": (
        lambda world, lease: stream_of(sealed(in_job(lease, "job_0"), people_scan(), world.keys["users"])),
        "labels_differ",
    ),
    "with the labels of another plan": (
        lambda world, lease: stream_of(
            sealed(lease.model_copy(update={"plan_digest": "0" * 64}), people_scan(), world.keys["users"])
        ),
        "labels_differ",
    ),
    "cut in its schema": (
        lambda world, lease: stream_of(sealed(lease, people_scan(), world.keys["users"]))[:200],
        "transfer_damaged",
    ),
    "that is nothing": (lambda _, __: b"", "transfer_damaged"),
    "that is no stream": (lambda _, __: b"\x00" * 4096, "transfer_damaged"),
    "that is a stream of another length than it says": (
        lambda _, __: b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\x00" * 4096,
        "transfer_damaged",
    ),
}


@pytest.mark.parametrize("name", TRANSFERS)
def test_a_transfer(world: World, name: str) -> None:
    make, code = TRANSFERS[name]
    lease = lease_of(world, arriving(world), "query")
    world.post.content = make(world, lease)
    assert told(world, lease) == code


# ---------------------------------------------------------------- what lies here already


def kept(world: World, lease: Lease, sender: Step, **changed: object) -> None:
    """The output of an earlier step of this very site."""
    file = world.home / f"{lease.job}.arrow"
    file.touch()
    columns = "[" + ",".join(column.model_dump_json() for column in sender.columns) + "]"
    row = {
        "id": f"out_{lease.job}", "job": lease.job, "step": sender.id, "plan_digest": lease.plan_digest,
        "path": str(file), "rows": 1, "bytes": 1, "digest": "d" * 64, "scanned_bytes": 0, "is_result": False,
        "columns": columns, "expires_ms": 2**60, "tenant": lease.tenant, "principal": lease.principal, **changed,
    }  # fmt: skip
    world.keep(OutputRow(**row))


def test_what_an_earlier_step_of_this_site_made_is_used_without_a_ticket(world: World) -> None:
    plan = grouped(world)
    lease = lease_of(world, plan, "query")
    kept(world, lease, plan.step("sums"))
    assert set(world.verifier.verified(lease).at_hand) == {"sums"}


@pytest.mark.parametrize(
    "changed",
    [
        {"principal": "bob"},
        {"tenant": "other"},
        {"is_result": True},
        {"columns": '[{"name": "g0", "type": "VARCHAR"}]'},
    ],
    ids=["another user's", "another tenant's", "a result", "with other labels"],
)
def test_an_output_of_this_site_that_is(world: World, changed: dict[str, object]) -> None:
    plan = grouped(world)
    lease = lease_of(world, plan, "query")
    kept(world, lease, plan.step("sums"), **changed)
    assert refusal(world, lease).code == "step_refused"


@pytest.mark.parametrize("changed", [{"job": "job_0"}, {"plan_digest": "0" * 64}], ids=["job", "plan"])
def test_an_output_of_this_site_for_another(world: World, changed: dict[str, object]) -> None:
    plan = grouped(world)
    lease = lease_of(world, plan, "query")
    kept(world, lease, plan.step("sums"), **changed)
    with pytest.raises(DatacanalError) as caught:
        world.verifier.verified(lease)
    assert caught.value.code == "output_lost"


def test_an_output_of_this_site_offered_from_elsewhere(world: World) -> None:
    plan = grouped(world)
    lease = lease_of(world, plan, "query", inputs=[offer_of(plan.step("sums").model_copy(update={"site": "users"}))])
    kept(world, lease, plan.step("sums"))
    assert refusal(world, lease).code == "step_refused"


# ---------------------------------------------------------------- fences


def test_a_fence_from_the_past(world: World) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    world.verifier.verified(lease)
    assert "from the past" in refusal(world, lease.model_copy(update={"fence": 4})).detail


def test_a_fence_from_the_past_after_a_restart_of_the_agent(world: World) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    world.verifier.verified(lease)
    world.reopen()
    assert refusal(world, lease.model_copy(update={"fence": 4})).code == "step_refused"


def test_a_fence_that_another_lease_had(world: World) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    world.verifier.verified(lease)
    assert refusal(world, lease.model_copy(update={"attempt": 2})).code == "step_refused"


@pytest.mark.parametrize("changed", [{"principal": "bob"}, {"tenant": "other"}], ids=["user", "tenant"])
def test_a_job_that_was_another_s(world: World, changed: dict[str, str]) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    world.verifier.verified(lease)
    later = signed(lease, **changed).model_copy(update={"fence": 6, **changed})
    assert "'ana'" in refusal(world, later).detail


def test_the_same_lease_again_and_the_next_one_are_no_forgeries(world: World) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    for again in (lease, lease, lease.model_copy(update={"fence": 6, "attempt": 2})):
        assert world.verifier.verified(again).step.id == "scan"


def test_a_forged_lease_takes_no_fence(world: World) -> None:
    lease = lease_of(world, out(world), "scan", fence=5)
    refusal(world, signed(lease, THIEF).model_copy(update={"fence": 9}))
    assert world.verifier.verified(lease).step.id == "scan"
