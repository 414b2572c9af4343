"""What owners say to a publication: by their policy, by a steward, of now; and who they do not believe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.control.identity import Issuer
from datacanal.domain.errors import AuthorityRefused
from datacanal.protocol.authority import Authority
from datacanal.protocol.plan import (
    DatasetInput,
    Estimate,
    Meeting,
    Plan,
    PlanColumn,
    PythonCode,
    PythonEnvironment,
    PythonWork,
    Step,
)
from datacanal.protocol.products import Consent
from datacanal.protocol.site import ConsentCommand
from datacanal.site.approvals import Approvals, Stewardship
from datacanal.site.authorities import Authorities
from datacanal.site.consents import ConsentGate
from datacanal.site.policy import Policy
from datacanal.site.store.approvals import ApprovalStore, Decision
from datacanal.testing.site_books import SiteBooks, open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"i" * 32))
STATEMENT = "SELECT sum(amount) FROM t.payments WHERE day = $day"
COLUMN = PlanColumn(name="n", type="BIGINT")


def step(site: str, lake: str, dataset: str, **changes: object) -> Step:
    given = DatasetInput(occurrence="occ0", lake=lake, dataset=dataset, snapshot="snap_1", columns=[COLUMN])
    made = Step(
        id=f"{lake}_{dataset}",
        site=site,
        kind="query",
        sql="SELECT 1",
        inputs=[given],
        columns=[COLUMN],
        estimate=Estimate(rows=1, bytes=1),
    )
    return made.model_copy(update=changes)


def plan(*steps: Step) -> Plan:
    return Plan(
        kernel="v2.0.0",
        functions="f" * 64,
        statement=STATEMENT,
        now="2030-05-01T12:00:00+00:00",
        steps=list(steps),
        transfers=[],
        result_step=steps[-1].id,
        columns=[COLUMN],
        meeting=Meeting(site="core", bytes=0, reason="scripted"),
    )


PLAN = plan(step("core", "t", "payments"), step("west", "w", "people"))


def policy(**publish: str) -> Policy:
    datasets = {name: {"publish": word} for name, word in publish.items()}
    return Policy.model_validate({"default_class": "public", "datasets": datasets})


class Room:
    """The owners of the lake `t` at the site `core`, and their steward."""

    def __init__(self, books: SiteBooks) -> None:
        self.books = books
        self.now = NOON
        self.policy = policy(payments="allowed")
        store = ApprovalStore(books.engine)
        self.steward = Stewardship(store, books.record)
        self.gate = ConsentGate(
            site="core",
            lakes=frozenset({"t"}),
            authorities=Authorities("core", lambda: ISSUER.public, lambda: self.now),
            policy_of=lambda _lake: self.policy,
            approvals=Approvals("core", store, lambda: self.now),
            record=books.record.add,
            clock=lambda: self.now,
        )

    def authority(self, made: Plan = PLAN, **changes: object) -> str:
        issued_s = int(self.now.timestamp())
        authority = Authority(
            job="job_1",
            tenant="default",
            principal="pub",
            role="publisher",
            groups=[],
            purpose=None,
            statement=hashlib.sha256(STATEMENT.encode()).hexdigest(),
            plan=made.digest,
            audience="core",
            issued_s=issued_s,
            expires_s=issued_s + 600,
        )
        return ISSUER.signed(authority.model_copy(update=changes))

    def ask(self, made: Plan = PLAN, **changes: object) -> Sequence[Consent]:
        command = ConsentCommand(
            consent="con_1",
            product="pub.sums",
            version="1.0",
            statement=STATEMENT,
            plan=made,
            authority=self.authority(made),
        )
        return self.gate.answer(command.model_copy(update=changes)).consents

    def decision(self, made: Plan = PLAN, **changes: object) -> str:
        [consent] = self.ask(made, **changes)
        return consent.decision

    def decide(self, *, grant: bool, expires: datetime | None = None) -> None:
        [asked] = self.steward.store.every()
        expires_ms = None if expires is None else int(expires.timestamp() * 1000)
        self.steward.decide(asked, Decision(grant, "eva", int(self.now.timestamp() * 1000), expires_ms))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    books = open_books(tmp_path)
    yield Room(books)
    books.close()


@pytest.mark.parametrize(
    ("word", "decision"), [("never", "refused"), ("allowed", "granted"), ("approval", "waiting"), (None, "refused")]
)
def test_the_policy_of_now_decides_and_the_record_has_it(room: Room, word: str | None, decision: str) -> None:
    room.policy = policy(payments=word) if word else policy()
    [consent] = room.ask()
    [recorded] = room.books.record.entries()
    assert (consent.decision, consent.dataset, consent.policy_digest) == (decision, "payments", room.policy.digest)
    assert (consent.seq, consent.hash) == (recorded.seq, recorded.hash)
    entry = recorded.entry
    assert (entry.kind, entry.decision) == ("publication", "accepted" if decision == "granted" else "refused")
    assert (entry.principal, entry.receivers, entry.snapshots) == ("pub", ["pub.sums"], {"t.payments": "snap_1"})
    assert entry.reason == f"version 1.0: {consent.reason}"


def test_asking_again_is_deciding_again(room: Room) -> None:
    assert room.decision() == "granted"
    room.policy = policy(payments="never")
    assert [room.decision(), room.decision()] == ["refused", "refused"]
    assert [each.entry.decision for each in room.books.record.entries()] == ["accepted", "refused", "refused"]


def test_a_steward_s_word_holds_for_the_product_and_the_statement_until_it_is_taken_back(room: Room) -> None:
    room.policy = policy(payments="approval")
    assert room.decision() == "waiting"
    [asked] = room.steward.store.every()
    assert (asked.product, asked.image, asked.principal, asked.source) == ("pub.sums", "", "pub", f"{STATEMENT}\n")
    room.decide(grant=True)
    assert room.decision() == "granted"
    assert room.decision(version="1.1") == "granted"
    assert room.decision(product="pub.others") == "waiting"
    found = room.steward.find(asked.code, product="pub.sums")
    room.steward.decide(found, Decision(grant=False, by="eva", at_ms=1))
    assert room.decision() == "waiting"


def test_an_approval_ends_when_its_steward_said(room: Room) -> None:
    room.policy = policy(payments="approval")
    assert room.decision() == "waiting"
    room.decide(grant=True, expires=NOON + timedelta(hours=1))
    assert room.decision() == "granted"
    room.now += timedelta(hours=1)
    assert room.decision() == "waiting"


def test_an_approval_is_not_for_other_parameters_another_statement_or_another_dataset(room: Room) -> None:
    room.policy = policy(payments="approval", people="approval")
    assert room.decision() == "waiting"
    room.decide(grant=True)
    other_day = plan(step("core", "t", "payments", params={"day": "2030-05-01"}), step("west", "w", "people"))
    assert room.decision(other_day) == "waiting"
    text = f"{STATEMENT} "
    signed = room.authority(statement=hashlib.sha256(text.encode()).hexdigest())
    assert room.decision(statement=text, authority=signed) == "waiting"
    both = plan(step("core", "t", "payments"), step("core", "t", "people"))
    assert [consent.decision for consent in room.ask(both)] == ["granted", "waiting"]
    shown = {asked.source for asked in room.steward.store.every()}
    assert f"{STATEMENT}\n-- $day = '2030-05-01'\n" in shown


def test_a_function_is_approved_by_its_code_and_shown_with_its_source(room: Room) -> None:
    room.policy = policy(payments="approval")
    environment = PythonEnvironment(python="3.11")
    code = PythonCode(name="f", pickle="Zg==", digest="c" * 64, source="def f(ctx): ...\n", environment=environment)

    def job(code: PythonCode) -> Plan:
        work = PythonWork(code=code, given=[], workers=1, memory_bytes=1)
        return plan(step("core", "t", "payments", kind="python", python=work))

    assert room.decision(job(code), statement="") == "waiting"
    [asked] = room.steward.store.every()
    assert asked.source == "def f(ctx): ...\n"
    room.decide(grant=True)
    assert room.decision(job(code), statement="") == "granted"
    other = code.model_copy(update={"digest": "d" * 64})
    assert room.decision(job(other), statement="") == "waiting"


def test_only_its_own_datasets_are_answered_for(room: Room) -> None:
    [consent] = room.ask()
    assert (consent.site, consent.lake, consent.dataset) == ("core", "t", "payments")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": "west"}, "for site 'west'"),
        ({"role": "analyst"}, "may not publish"),
        ({"plan": "0" * 64}, "another plan"),
        ({"statement": "0" * 64}, "another statement"),
        ({"expires_s": 1}, "it expired"),
    ],
)
def test_an_authority_that_says_something_else_is_refused_and_recorded(
    room: Room, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(AuthorityRefused, match=reason):
        room.ask(authority=room.authority(**changes))
    [recorded] = room.books.record.entries()
    assert (recorded.entry.kind, recorded.entry.decision) == ("publication", "refused")


def test_a_forged_authority_is_refused(room: Room) -> None:
    forger = Issuer(Ed25519PrivateKey.from_private_bytes(b"f" * 32))
    body, _, _ = room.authority().partition(".")
    forged = f"{body}.{forger.signed(Authority.model_validate(_claims(room))).partition('.')[2]}"
    with pytest.raises(AuthorityRefused, match="not signed by the issuer"):
        room.ask(authority=forged)


def test_a_plan_that_reads_a_lake_of_another_site_here_is_refused(room: Room) -> None:
    with pytest.raises(AuthorityRefused, match="lake 'w', which is not here"):
        room.ask(plan(step("core", "w", "people")))


def test_what_waits_is_noted_once(room: Room) -> None:
    room.policy = policy(payments="approval")
    first = room.decision()
    again = room.decision()
    [asked] = room.steward.store.every()
    assert (first, again, asked.datasets) == ("waiting", "waiting", frozenset({"t.payments"}))
    assert replace(asked, state="granted", granted=asked.datasets).allows(asked.datasets, 0)


def _claims(room: Room) -> dict[str, object]:
    return {
        "job": "job_1", "tenant": "default", "principal": "pub", "role": "publisher", "groups": [], "purpose": None,
        "statement": "", "plan": PLAN.digest, "audience": "core", "issued_s": int(room.now.timestamp()),
        "expires_s": int(room.now.timestamp()) + 600,
    }  # fmt: skip
