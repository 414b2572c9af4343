"""What a false control plane, a false site or a thief sends straight to an agent is refused by the agent alone.

Each forgery is one thing wrong in what is otherwise an honest lease, mostly even signed by the issuer. Refused means:
the agent says the right code, and its record holds the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, cast

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.policy.forging import (
    ISSUER,
    NOON,
    World,
    authority_of,
    lease_of,
    offer_of,
    plan_of,
    taken,
)

from datacanal.control.identity import Issuer
from datacanal.domain.errors import DatacanalError, PeerUnknown, TransferRefused
from datacanal.protocol.labels import Label
from datacanal.protocol.plan import Entity, Estimate, Measure, Plan, PlanColumn, Protection, Step
from datacanal.protocol.site import Consumer, Done, Failed, Lease
from datacanal.site.exchange import Handout
from datacanal.site.labels_seal import LABELS_KEY, sealed
from datacanal.site.peers import Peers
from datacanal.site.store.fences import NonceBook
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import NONCE_EXPIRY_S, Proof, Ticket, fetch_text, mint

THIEF = Issuer(Ed25519PrivateKey.from_private_bytes(b"t" * 32))
BY_CHANNEL = Protection(
    groups=["g0"],
    measures=[Measure(function="sum", column="m0")],
    entities=[Entity(column="e0", lake="transactions", dataset="payments")],
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("core"))
    yield made
    made.close()


# ---------------------------------------------------------------- honest plans


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


# ---------------------------------------------------------------- how to forge


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


def signed(lease: Lease, issuer: Issuer = ISSUER, **changed: object) -> Lease:
    """The lease with an authority that says something else."""
    authority = authority_of((lease.job, lease.plan), **changed)
    return lease.model_copy(update={"authority": issuer.signed(authority)})


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


# ---------------------------------------------------------------- what the statement reads


def told(world: World, lease: Lease) -> str:
    """The code of the agent's failure, which its record holds too."""
    outcome = world.run(lease)
    assert isinstance(outcome, Failed), outcome
    [*_, last] = world.entries(lease.job)
    assert (last.entry.decision, last.entry.step) == ("refused", lease.step)
    assert last.entry.reason.startswith(f"{outcome.problem.code}: ")
    return outcome.problem.code


def only(world: World, sql: str, columns: dict[str, str]) -> Lease:
    """A query over payments alone whose columns are said to be as public as can be."""
    payments = world.dataset("payments")
    free = next(column.label for column in payments.columns if column.name == "id")
    step = Step(
        id="query",
        site="core",
        kind="query",
        sql=sql,
        inputs=[payments],
        columns=[PlanColumn(name=name, type=kind, label=free) for name, kind in columns.items()],
        estimate=Estimate(rows=1, bytes=1),
    )
    return lease_of(world, plan_of([step]), "query")


BEYOND = {
    "another dataset": "SELECT card AS id FROM occ1.transactions.cards",
    "another dataset by its own name": "SELECT card AS id FROM transactions.cards",
    "another snapshot's files": "SELECT id FROM read_parquet('/lake/payments/1.parquet')",
    "a file by its name": "SELECT id FROM '/lake/payments/1.parquet'",
    "the guard of another job": "SELECT entity AS id FROM '/core/scratch/outputs/out_1.arrow.guard'",
    "a folder of files": "SELECT 1 AS id FROM glob('/**')",
    "the engine's own tables": "SELECT 1 AS id FROM duckdb_settings()",
    "a file that it writes": "COPY (SELECT id FROM occ0.transactions.payments) TO '/tmp/out.csv'",
    "another database": "ATTACH '/core/site.db'",
    "two statements": "SELECT id FROM occ0.transactions.payments; SELECT 1",
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_statement_that_reads_more_than_its_inputs(world: World, name: str) -> None:
    assert told(world, only(world, BEYOND[name], {"id": "BIGINT"})) in GATE


GATE = {"dataset_not_found", "sql_construct_not_allowed", "function_not_allowed", "sql_not_a_select"}

SAID_TO_BE_PUBLIC = {
    "a secret": ("SELECT note AS id FROM occ0.transactions.payments", "VARCHAR"),
    "part of a secret": ("SELECT substr(note, 2) AS id FROM occ0.transactions.payments", "VARCHAR"),
    "all of a row": ("SELECT CAST(payments AS VARCHAR) AS id FROM occ0.transactions.payments", "VARCHAR"),
    "a join key": ("SELECT person AS id FROM occ0.transactions.payments", "BIGINT"),
    "a hash of a join key": ("SELECT hash(person) AS id FROM occ0.transactions.payments", "UBIGINT"),
    "what a secret filters": ("SELECT id FROM occ0.transactions.payments WHERE note = 'n1'", "BIGINT"),
    "what a join key filters": ("SELECT id FROM occ0.transactions.payments WHERE person = 7", "BIGINT"),
    "what an aggregate orders": (
        "SELECT id FROM occ0.transactions.payments ORDER BY amount DESC LIMIT 1",
        "BIGINT",
    ),
    "an aggregate": ("SELECT amount AS id FROM occ0.transactions.payments", "DOUBLE"),
    "a sum that nobody guards": ("SELECT sum(amount) AS id FROM occ0.transactions.payments", "DOUBLE"),
    "the number of rows of a group": (
        "SELECT count(*) AS id FROM occ0.transactions.payments GROUP BY person",
        "BIGINT",
    ),
}


@pytest.mark.parametrize("name", SAID_TO_BE_PUBLIC)
def test_a_statement_whose_columns_are_said_to_be_public_and_are(world: World, name: str) -> None:
    sql, kind = SAID_TO_BE_PUBLIC[name]
    assert told(world, only(world, sql, {"id": kind})) == "labels_differ"


HONEST_ABOUT_IT = {
    "a join key in a result": ("query", "SELECT person FROM occ0.transactions.payments"),
    "a secret in a result": ("query", "SELECT note FROM occ0.transactions.payments"),
    "an aggregate in a result": ("query", "SELECT amount FROM occ0.transactions.payments"),
    "a secret in a transfer": ("scan", "SELECT note FROM occ0.transactions.payments"),
    "an aggregate in a transfer": ("scan", "SELECT amount FROM occ0.transactions.payments"),
    "a join key that was filtered in a transfer": (
        "scan",
        "SELECT person FROM occ0.transactions.payments WHERE person = 7",
    ),
    "a count of what a join key filtered": (
        "scan",
        "SELECT count(*) AS rows FROM occ0.transactions.payments WHERE person = 7",
    ),
}


@pytest.mark.parametrize("name", HONEST_ABOUT_IT)
def test_labels_that_are_true_but_may_not_leave(world: World, name: str) -> None:
    kind, sql = HONEST_ABOUT_IT[name]
    step = world.step("step", kind, sql, [world.dataset("payments")])
    if kind == "query":
        plan = plan_of([step])
    else:
        given = taken(step, "occ0", "transactions", "payments")
        query = Step(id="query", site="users", kind="query", sql="SELECT 1 AS n", inputs=[given],
                     columns=[PlanColumn(name="n", type="INTEGER")], estimate=Estimate(rows=1, bytes=1))  # fmt: skip
        plan = plan_of([step, query])
    assert told(world, lease_of(world, plan, "step")) == "policy_refused"


def test_a_join_key_that_arrived_is_no_result(world: World) -> None:
    people = people_scan()
    given = taken(people, "occ1", "people", "persons")
    query = world.step("query", "query", "SELECT person FROM occ1.people.persons", [given])
    lease = lease_of(world, plan_of([people, query]), "query")
    world.post.content = stream_of(sealed(lease, people, world.keys["users"]))
    assert told(world, lease) == "policy_refused"


# ---------------------------------------------------------------- how it is protected


def sums(world: World, sql: str, **changed: object) -> Lease:
    """The honest aggregate step with another relation, whose columns are honestly labelled, and its own lies kept."""
    plan = grouped(world)
    honest = plan.step("sums")
    inputs = [world.dataset("payments"), world.dataset("payments", "occ2")] if "occ2" in sql else honest.inputs
    relation = world.relation(sql, inputs)
    columns = [honest.columns[0].model_copy(update={"type": relation[0].type}), *honest.columns[1:]]
    forged = honest.model_copy(
        update={"sql": sql, "inputs": inputs, "relation": relation, "columns": columns, **changed}
    )
    query = plan.step("query").model_copy(update={"inputs": [taken(forged)]})
    return lease_of(world, plan_of([forged, query]), "sums")


FROM = "FROM occ0.transactions.payments AS p"
SELF = f"{FROM}, occ2.transactions.payments AS o"
PROTECTIONS = {
    "a constant for the individual": f"SELECT channel AS g0, amount AS m0, 1::BIGINT AS e0 {FROM}",
    "a random individual": f"SELECT channel AS g0, amount AS m0, (random() * 1000)::BIGINT AS e0 {FROM}",
    "a finer column for the individual": f"SELECT channel AS g0, amount AS m0, id AS e0 {FROM}",
    "an expression of the individual": f"SELECT channel AS g0, amount AS m0, person * 1000 + id AS e0 {FROM}",
    "a number of the row": f"SELECT channel AS g0, amount AS m0, row_number() OVER () AS e0 {FROM}",
    "the individual of another row": f"SELECT p.channel AS g0, p.amount AS m0, o.person AS e0 {SELF}",
    "a measure of chosen rows": f"SELECT channel AS g0, CASE WHEN id = 1 THEN amount END AS m0, person AS e0 {FROM}",
    "a measure times a column": f"SELECT channel AS g0, amount * id AS m0, person AS e0 {FROM}",
    "a secret as a measure": f"SELECT channel AS g0, length(note)::DOUBLE AS m0, person AS e0 {FROM}",
    "a join key as the group": f"SELECT person AS g0, amount AS m0, person AS e0 {FROM}",
    "a secret as the group": f"SELECT note AS g0, amount AS m0, person AS e0 {FROM}",
    "an aggregate as the group": f"SELECT amount AS g0, amount AS m0, person AS e0 {FROM}",
    "a group of a secret": f"SELECT note = 'n1' AS g0, amount AS m0, person AS e0 {FROM}",
    "rows that a secret chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE note = 'n1'",
    "rows that the individual chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE person = 7",
    "rows that the measure chose": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} WHERE amount > 99.5",
    "the largest row": f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM} ORDER BY amount DESC LIMIT 1",
}


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_protection_with(world: World, name: str) -> None:
    assert told(world, sums(world, PROTECTIONS[name])) == "policy_refused"


@pytest.mark.parametrize("function", ["min", "max", "count_distinct"])
def test_a_measure_that_shows_one_value(world: World, function: str) -> None:
    measures = [{"function": function, "column": "m0"}]
    protection = Protection.model_validate({**BY_CHANNEL.model_dump(), "measures": measures})
    sql = f"SELECT channel AS g0, amount AS m0, person AS e0 {FROM}"
    assert told(world, sums(world, sql, protection=protection)) == "policy_refused"


def loosened(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """What an aggregate step gives, said to be freer than it is."""

    def forge(document: Any) -> None:
        for column in (*document["steps"][0]["columns"], *document["steps"][1]["inputs"][0]["shipped"],
                       *document["steps"][1]["inputs"][0]["columns"]):  # fmt: skip
            change(column["label"])

    return forge


GIVEN: dict[str, Callable[[Any], None]] = {
    "no origin": lambda label: label.update(origins=[]),
    "a smaller min_group": lambda label: label["origins"][0].update(min_group=2),
    "another policy": lambda label: label["owners"][0].update(policy="0" * 64),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_aggregate_that_is_said_to_have(world: World, name: str) -> None:
    forged = edited(grouped(world), loosened(GIVEN[name]))
    assert told(world, lease_of(world, forged, "sums")) == "labels_differ"


def test_a_relation_that_is_said_to_be_free(world: World) -> None:
    def forge(document: Any) -> None:
        document["steps"][0]["relation"][0]["label"]["owners"] = []

    assert told(world, lease_of(world, edited(grouped(world), forge), "sums")) == "labels_differ"


# ---------------------------------------------------------------- the labels of what arrives


def stream_of(metadata: dict[str, str] | None) -> bytes:
    """People, as the other site sends them."""
    schema = pa.schema([("person", pa.int64()), ("name", pa.string())], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["Ada"])], schema=schema))
    content: bytes = sink.getvalue().to_pybytes()
    return content


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


# ---------------------------------------------------------------- tickets


def handout(world: World, at_s: float) -> Handout:
    """What answers fetches, at that time."""
    file = world.home / "kept.arrow"
    file.touch()
    row = OutputRow(
        id="out_1", job="job_t", step="scan", plan_digest="0" * 64, path=str(file), rows=1, bytes=1, digest="d" * 64,
        scanned_bytes=0, is_result=False, columns="[]", expires_ms=2**60, tenant="default", principal="ana",
    )  # fmt: skip
    peers = cast("Peers", world.verifier.pins)
    nonces = NonceBook(world.books.engine, NONCE_EXPIRY_S)
    kept = {"out_1": row, "out_2": row}
    return Handout("core", world.books.keys.seal, peers, kept.get, lambda: at_s, nonces.use, world.books.record.add)


def ticket_of(world: World, **changed: object) -> Ticket:
    given = Ticket(
        job=world.new_job(),
        step="scan",
        fence=1,
        output="out_1",
        digest="d" * 64,
        consumer="users",
        key=world.keys["users"].public,
        expires_s=int(NOON.timestamp()) + 60,
    )
    return given.model_copy(update=changed)


def proof_of(world: World, sealed_ticket: str, keys: str = "users", shift_s: int = 0) -> Proof:
    """The headers of a fetch of `out_1`, signed by that site."""
    unsigned = Proof(sealed_ticket, str(int(NOON.timestamp()) + shift_s), f"nonce{world.jobs}", "")
    return replace(unsigned, signature=world.keys[keys].sign(fetch_text("out_1", "", unsigned)))


def fetch_refused(world: World, proof: Proof, output: str = "out_1", caller: str = "users", at_s: float = 0) -> str:
    before = len(world.books.record.entries())
    with pytest.raises((TransferRefused, PeerUnknown)) as caught:
        handout(world, at_s or NOON.timestamp()).output_for(caller, output, "", proof)
    entries = world.books.record.entries()
    assert len(entries) == before + 1
    assert (entries[-1].entry.kind, entries[-1].entry.decision) == ("transfer", "refused")
    return caught.value.detail


def test_a_fetch_with_a_ticket_of_one_s_own_is_answered_once(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert handout(world, NOON.timestamp()).output_for("users", "out_1", "", proof).id == "out_1"
    assert "made before" in fetch_refused(world, proof)


def test_a_fetch_is_not_answered_again_after_a_restart(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    handout(world, NOON.timestamp()).output_for("users", "out_1", "", proof)
    world.reopen()
    assert "made before" in fetch_refused(world, proof)


def test_an_expired_ticket(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world, expires_s=int(NOON.timestamp())), world.books.keys.seal))
    assert "expired" in fetch_refused(world, proof)


def test_an_edited_ticket(world: World) -> None:
    body, _, mark = mint(ticket_of(world), world.books.keys.seal).partition(".")
    other = mint(ticket_of(world, key=world.keys["attacker"].public), world.books.keys.seal).partition(".")[0]
    assert body != other
    assert "not made by this site" in fetch_refused(world, proof_of(world, f"{other}.{mark}"))


def test_a_ticket_sealed_by_another_site(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.keys["attacker"].seal))
    assert "not made by this site" in fetch_refused(world, proof)


def test_a_ticket_for_another_output(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert "another output" in fetch_refused(world, proof, output="out_2")


def test_a_ticket_in_the_hands_of_a_thief(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal), keys="attacker")
    assert "not signed" in fetch_refused(world, proof)


def test_a_ticket_of_one_site_shown_by_another(world: World) -> None:
    proof = proof_of(world, mint(ticket_of(world), world.books.keys.seal))
    assert "caller" in fetch_refused(world, proof, caller="elsewhere")


def test_a_ticket_for_a_site_that_is_pinned_no_more(world: World) -> None:
    ticket = ticket_of(world, consumer="attacker", key=world.keys["attacker"].public)
    proof = proof_of(world, mint(ticket, world.books.keys.seal), keys="attacker")
    assert "attacker" in fetch_refused(world, proof, caller="attacker")


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_a_fetch_from_a_clock_an_hour_off(world: World, shift_s: int) -> None:
    ticket = ticket_of(world, expires_s=int(NOON.timestamp()) + 7200)
    proof = proof_of(world, mint(ticket, world.books.keys.seal), shift_s=shift_s)
    assert "clocks" in fetch_refused(world, proof)
