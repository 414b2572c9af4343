"""Requests for approvals and what was decided, as they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from datacanal.domain.errors import NotFound
from datacanal.site.store.approvals import WAITING_AT_MOST, Approval, ApprovalStore, Decision
from datacanal.site.store.database import open_database

ASKED = Approval(
    code="c" * 64,
    image="sha256:1",
    name="f",
    source="def f(ctx): ...",
    pickle="Zg==",
    job="job_1",
    tenant="default",
    principal="ana",
    purpose=None,
    datasets=frozenset({"t.p"}),
    asked_ms=1000,
)
YES = Decision(grant=True, by="root", at_ms=2000)
BOTH = frozenset({"t.p", "t.q"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ApprovalStore]:
    engine: Engine = open_database(tmp_path / "site.db")
    yield ApprovalStore(engine)
    engine.dispose()


def known(store: ApprovalStore) -> Approval:
    found = store.find(ASKED.code, ASKED.image)
    assert found is not None
    return found


def decide(store: ApprovalStore, seen: Approval, decision: Decision) -> Approval:
    return store.decide(seen, decision, lambda _, decided: decided)


def test_a_request_is_noted_once_with_who_asked_first(store: ApprovalStore) -> None:
    store.ask(ASKED)
    store.ask(replace(ASKED, principal="bob", job="job_2", asked_ms=5000, datasets=frozenset({"t.q"})))
    assert store.every() == [replace(ASKED, datasets=BOTH)]
    assert not known(store).allows(ASKED.datasets, 0)


def test_a_grant_is_for_what_its_steward_saw(store: ApprovalStore) -> None:
    store.ask(ASKED)
    seen = known(store)
    store.ask(replace(ASKED, datasets=BOTH))
    decide(store, seen, YES)
    assert known(store).allows(ASKED.datasets, 0)
    assert not known(store).allows(BOTH, 0)
    decide(store, known(store), YES)
    assert known(store).allows(BOTH, 0)


def test_a_grant_ends_when_it_says_or_is_revoked(store: ApprovalStore) -> None:
    store.ask(ASKED)
    decide(store, ASKED, replace(YES, expires_ms=3000))
    assert [known(store).allows(ASKED.datasets, at_ms) for at_ms in (2999, 3000)] == [True, False]
    decide(store, ASKED, YES)
    assert known(store).allows(ASKED.datasets, 2**50)
    decide(store, ASKED, replace(YES, grant=False))
    assert not known(store).allows(ASKED.datasets, 2999)
    assert not known(store).allows(frozenset(), 2999)


def test_a_decision_that_cannot_be_recorded_is_none(store: ApprovalStore) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    store.ask(ASKED)
    with pytest.raises(OSError, match="full"):
        store.decide(ASKED, YES, full)
    assert known(store) == ASKED
    with pytest.raises(NotFound):
        decide(store, replace(ASKED, code="d" * 64), YES)


def test_nobody_fills_the_store_with_requests(store: ApprovalStore) -> None:
    store.ask(replace(ASKED, principal="bob"))
    store.decide(replace(ASKED, principal="bob"), YES, lambda *_: None)
    for number in range(WAITING_AT_MOST + 3):
        store.ask(replace(ASKED, code=f"{number:064}", asked_ms=number))
    waiting = [each for each in store.every() if each.state == "requested"]
    assert [waiting[0].asked_ms, waiting[-1].asked_ms, len(waiting)] == [WAITING_AT_MOST + 2, 3, WAITING_AT_MOST]
    assert known(store).state == "granted"
