"""What attempts said stays at its site unless every lake lets it out, to its submitter or a steward, and is charged."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from datacanal.control.identity import Issuer
from datacanal.domain.errors import AuthorityRefused, BudgetExceeded, LogsRefused
from datacanal.protocol.authority import Authority
from datacanal.protocol.labels import Label, Owner
from datacanal.protocol.plan import DatasetInput, PlanColumn, TransferInput
from datacanal.protocol.site import Lease, LogCommand
from datacanal.protocol.words import SiteWords
from datacanal.site.authorities import Authorities
from datacanal.site.policy import Policy
from datacanal.site.store.models import AttemptRow
from datacanal.site.words.gate import WordsGate
from datacanal.site.words.reads import reads_of
from datacanal.testing.compiler_fake import plan_at
from datacanal.testing.site_books import SiteBooks, open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"i" * 32))
READER = Authority(
    job="job_1",
    tenant="local",
    principal="ana",
    role="analyst",
    groups=[],
    purpose="fraud",
    statement="0" * 64,
    plan="p",
    audience="core",
    issued_s=int(NOON.timestamp()),
    expires_s=int(NOON.timestamp()) + 300,
)
SAID = "Could not convert string 'Novák 850612/1234' to INT32"


def policy(**content: object) -> Policy:
    return Policy.model_validate({"default_class": "public", "logs": {"release": True}, **content})


class Room:
    """The gate for words of a site with the lakes `t` and `u`, over books in a folder."""

    def __init__(self, books: SiteBooks, **policies: Policy) -> None:
        self.books = books
        self.policies = policies
        authorities = Authorities("core", lambda: ISSUER.public, lambda: NOON)
        self.gate = WordsGate(
            "core", authorities, self.policies.get, books.work, books.egress, books.record, lambda: NOON
        )

    def heard(self, said: str = SAID, reads: str | None = '["t.payments"]', fence: int = 1, step: str = "q") -> None:
        self.books.work.save_attempt(
            AttemptRow(
                job="job_1",
                step=step,
                fence=fence,
                attempt=fence,
                plan_digest="p",
                finished_ms=fence,
                outcome="conversion_failed",
                said=said,
                reads=reads,
                tenant="local",
                principal="ana",
            )
        )

    def asked(self, **changed: object) -> SiteWords:
        authority = ISSUER.signed(READER.model_copy(update=changed))
        return self.gate.released(LogCommand(upload="upl_1", job="job_1", authority=authority))

    def decisions(self) -> list[tuple[str, str, str]]:
        found = [recorded.entry for recorded in self.books.record.entries()]
        return [(entry.kind, entry.decision, entry.principal) for entry in found]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[SiteBooks]:
    opened = open_books(tmp_path)
    yield opened
    opened.close()


def test_words_leave_where_the_lake_lets_them_and_are_recorded_and_charged_once(books: SiteBooks) -> None:
    room = Room(books, t=policy(budgets={"job": {"bytes": len(SAID.encode())}}))
    room.heard()
    for _ in range(3):
        (words,) = room.asked().attempts
        assert (words.step, words.fence, words.said, words.cut, words.kept) == ("q", 1, SAID, False, None)
    (recorded,) = books.record.entries()
    entry = recorded.entry
    assert (entry.kind, entry.decision, entry.receivers, entry.bytes) == ("log", "released", ["ana"], len(SAID) + 1)
    assert entry.policies == {"t": room.policies["t"].digest}
    assert entry.snapshots == {"t.payments": ""}


def test_without_the_owner_s_leave_they_stay_and_the_refusal_is_recorded_without_them(books: SiteBooks) -> None:
    room = Room(books, t=policy(logs={"release": False}))
    room.heard()
    with pytest.raises(LogsRefused, match="lake 't' does not let logs out") as caught:
        room.asked()
    assert "Novák" not in str(caught.value.data)
    assert room.decisions() == [("log", "refused", "ana")]
    assert "Novák" not in str(books.record.entries())


@pytest.mark.parametrize("reads", ['["t.payments", "u.people"]', '["west.people"]', None])
def test_every_lake_that_was_read_must_let_them_out_and_be_known_here(books: SiteBooks, reads: str | None) -> None:
    room = Room(books, t=policy(), u=policy(logs={}))
    room.heard(reads=reads)
    with pytest.raises(LogsRefused):
        room.asked()


def test_each_attempt_is_judged_by_what_it_read(books: SiteBooks) -> None:
    room = Room(books, t=policy(), u=policy(logs={}))
    room.heard()
    room.heard(said="of u", reads='["u.people"]', fence=2)
    first, second = room.asked().attempts
    assert (first.said, first.kept) == (SAID, None)
    assert second.said == ""
    assert second.kept is not None
    assert second.kept.code == "logs_refused"
    assert room.decisions() == [("log", "refused", "ana"), ("log", "released", "ana")]


def test_they_are_cut_to_the_strictest_lake_s_size_between_characters(books: SiteBooks) -> None:
    room = Room(books, t=policy(), u=policy(logs={"release": True, "max_bytes": 30}))
    room.heard(reads='["t.payments", "u.people"]')
    room.heard(said="more", fence=2)
    first, second = room.asked().attempts
    assert first.said == SAID.encode()[:30].decode("utf-8", "ignore") == "Could not convert string 'Nov"
    assert first.cut
    assert (second.said, second.cut) == ("m", True)
    assert books.record.entries()[0].entry.bytes == 30


def test_a_steward_may_ask_and_others_may_not(books: SiteBooks) -> None:
    room = Room(books, t=policy(datasets={"payments": {"readers": ["group:risk"]}}))
    room.heard()
    assert room.asked(principal="sam", role="steward").attempts[0].said == SAID
    for stranger in ({"principal": "bob"}, {"tenant": "other"}, {"tenant": "other", "role": "admin"}, {"job": "job_2"}):
        with pytest.raises(AuthorityRefused):
            room.asked(**stranger)
    assert room.decisions() == [("log", "released", "sam"), ("log", "refused", "site")]


def test_a_submitter_who_is_a_reader_no_more_does_not_get_them(books: SiteBooks) -> None:
    room = Room(books, t=policy(datasets={"payments": {"readers": ["group:risk"]}}))
    room.heard()
    with pytest.raises(LogsRefused, match=r"may not use t\.payments"):
        room.asked()
    assert room.asked(groups=["risk"]).attempts[0].said == SAID


def test_a_budget_keeps_them_in_too(books: SiteBooks) -> None:
    room = Room(books, t=policy(budgets={"user_day": {"bytes": 10}}))
    room.heard()
    with pytest.raises(BudgetExceeded):
        room.asked()
    assert room.decisions() == [("log", "refused", "ana")]


def test_a_forged_authority_gets_nothing_and_is_recorded_once(books: SiteBooks) -> None:
    room = Room(books, t=policy())
    room.heard()
    other = Issuer(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    for _ in range(3):
        with pytest.raises(AuthorityRefused):
            room.gate.released(LogCommand(upload="upl_1", job="job_1", authority=other.signed(READER)))
    assert room.decisions() == [("log", "refused", "site")]


def test_a_job_that_said_nothing_here_gives_nothing_and_costs_nothing(books: SiteBooks) -> None:
    room = Room(books, t=policy())
    room.heard(said="")
    assert room.asked().attempts == []
    assert room.decisions() == []


def test_what_words_may_quote_is_all_that_the_step_read_however_it_came() -> None:
    plan = plan_at("core")
    owned = Label(owners=[Owner(lake="west", dataset="people", policy="d")])
    own = DatasetInput(occurrence="occ0", lake="t", dataset="payments", snapshot="snp", columns=[])
    sent = TransferInput(occurrence="occ1", lake="u", dataset="loans", from_step="s1", shipped=[], columns=[])
    made = TransferInput(
        occurrence="occ2",
        lake="step",
        dataset="s2",
        from_step="s2",
        shipped=[PlanColumn(name="a", type="INTEGER", label=owned)],
        columns=[],
    )
    step = plan.steps[0].model_copy(update={"inputs": [own, sent, made]})
    lease = Lease(
        authority="",
        job="job_1",
        step=step.id,
        fence=1,
        attempt=1,
        tenant="local",
        principal="ana",
        purpose=None,
        plan=plan.model_copy(update={"steps": [step]}),
        plan_digest="p",
        inputs=[],
        consumers=[],
        is_result=True,
        result_expiry_s=60,
    )
    assert json.loads(reads_of(lease) or "") == ["t.payments", "u.loans", "west.people"]
    assert reads_of(lease.model_copy(update={"step": "forged"})) is None
