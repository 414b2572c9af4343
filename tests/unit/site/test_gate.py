"""The egress gate: what leaves is permitted, charged once and written down, and so is what may not leave."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datacanal.domain.errors import BudgetExceeded, StepRefused
from datacanal.protocol.plan import PlanColumn
from datacanal.site.gate import EgressGate
from datacanal.site.policy import Policy
from datacanal.site.store.egress import Release, Source
from datacanal.site.store.models import OutputRow
from datacanal.testing.site_books import open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
RELEASE = Release(
    tenant="local",
    principal="ana",
    purpose="fraud",
    job="job_1",
    step="s1",
    kind="transfer",
    receivers=("west",),
    plan_digest="plan",
    digest="d1",
    rows=10,
    bytes=1000,
    columns=(PlanColumn(name="a", type="INTEGER"),),
    sources=(Source("t", "payments", "snp_1", ("a", "b")),),
)


def policy(**content: object) -> Policy:
    return Policy.model_validate({"default_class": "public", **content})


def output(release: Release) -> OutputRow:
    return OutputRow(
        id=f"out_{release.job}_{release.step}_{release.digest}",
        job=release.job,
        step=release.step,
        plan_digest=release.plan_digest,
        path="x",
        rows=release.rows,
        bytes=release.bytes,
        digest=release.digest,
        scanned_bytes=0,
        is_result=False,
        columns="[]",
        expires_ms=0,
        tenant=release.tenant,
        principal=release.principal,
    )


class House:
    """A gate with its store."""

    def __init__(self, folder: Path, **policies: Policy) -> None:
        books = open_books(folder)
        self.record = books.record
        self.work = books.work
        self.gate = EgressGate("core", policies, books.egress)

    def out(self, release: Release, at: datetime = NOON) -> None:
        self.gate.pass_out(release, output(release), at)


def test_a_release_is_recorded_with_who_why_what_and_under_which_policy(tmp_path: Path) -> None:
    rules = policy()
    house = House(tmp_path, t=rules)
    house.out(RELEASE)
    (record,) = (found.entry for found in house.record.entries("job_1"))
    assert (record.tenant, record.principal, record.purpose) == ("local", "ana", "fraud")
    assert (record.rows, record.bytes, record.digest, record.decision) == (10, 1000, "d1", "released")
    assert record.policies == {"t": rules.digest}
    assert record.snapshots == {"t.payments": "snp_1"}
    assert record.columns == [("a", "public")]
    assert record.receivers == ["west"]
    assert record.plan_digest == "plan"
    assert record.at_ms == NOON.timestamp() * 1000
    assert house.work.output("out_job_1_s1_d1") is not None


def test_three_attempts_with_the_same_content_charge_once(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"job": {"rows": 10, "bytes": 1000}}))
    for _ in range(3):
        house.out(RELEASE)
    assert len(house.record.entries()) == 1


@pytest.mark.parametrize("limits", [{"rows": 19}, {"bytes": 1999}])
@pytest.mark.parametrize(
    ("budget", "second", "free"),
    [
        ("job", replace(RELEASE, step="s2"), replace(RELEASE, job="job_2")),
        ("user_day", replace(RELEASE, job="job_2"), replace(RELEASE, job="job_2", principal="bob")),
        (
            "dataset_day",
            replace(RELEASE, job="job_2", principal="bob"),
            replace(RELEASE, job="job_2", sources=(Source("t", "loans", "snp_2", ()),)),
        ),
    ],
)
def test_each_budget_counts_its_own_subject(
    tmp_path: Path, budget: str, limits: dict[str, int], second: Release, free: Release
) -> None:
    house = House(tmp_path, t=policy(budgets={budget: limits}))
    house.out(RELEASE)
    with pytest.raises(BudgetExceeded) as caught:
        house.out(second)
    assert caught.value.data["budget"] == budget
    assert caught.value.data["lake"] == "t"
    house.out(free)
    assert [record.entry.decision for record in house.record.entries()] == ["released", "refused", "released"]
    assert "egress_budget_exceeded" in house.record.entries()[1].entry.reason


def test_a_refused_release_keeps_no_output_and_takes_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"job": {"rows": 15}}))
    big = replace(RELEASE, rows=16)
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            house.out(big)
    assert len(house.record.entries()) == 1
    assert house.work.output("out_job_1_s1_d1") is None
    house.out(replace(RELEASE, rows=15, digest="d2"))


def test_daily_budgets_begin_anew_at_midnight_utc(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"user_day": {"rows": 10}}))
    house.out(RELEASE)
    house.out(replace(RELEASE, job="job_2"), NOON + timedelta(hours=12))
    with pytest.raises(BudgetExceeded):
        house.out(replace(RELEASE, job="job_3"), NOON + timedelta(hours=13))


def test_a_dataset_s_own_daily_budget_replaces_the_lake_s(tmp_path: Path) -> None:
    house = House(
        tmp_path,
        t=policy(budgets={"dataset_day": {"rows": 5}}, datasets={"payments": {"budgets": {"day": {"rows": 10}}}}),
    )
    house.out(RELEASE)
    with pytest.raises(BudgetExceeded):
        house.out(replace(RELEASE, job="job_2"))


def test_every_lake_and_dataset_that_flowed_in_is_charged(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(), u=policy(budgets={"dataset_day": {"rows": 10}}))
    both = replace(RELEASE, sources=(*RELEASE.sources, Source("u", "people", "snp_3", ()), RELEASE.sources[0]))
    house.out(both)
    with pytest.raises(BudgetExceeded) as caught:
        house.out(replace(both, job="job_2"))
    assert caught.value.data["lake"] == "u"


def test_what_comes_from_no_lake_is_recorded_without_charge(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"user_day": {"rows": 0}}))
    house.out(replace(RELEASE, sources=(), kind="result"))
    assert house.record.entries()[0].entry.policies == {}


def test_a_column_that_is_not_public_keeps_the_table_in(tmp_path: Path) -> None:
    rules = policy(datasets={"payments": {"columns": {"B": {"class": "secret"}}}})
    house = House(tmp_path, t=rules)
    with pytest.raises(StepRefused, match=r"'b' of t\.payments is secret"):
        house.out(RELEASE)
    (record,) = house.record.entries()
    assert record.entry.decision == "refused"


def test_many_releases_at_once_never_overshoot_a_budget(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"user_day": {"rows": 55}}))
    refused: list[str] = []
    start = threading.Barrier(8)

    def release(number: int) -> None:
        start.wait()
        try:
            house.out(replace(RELEASE, job=f"job_{number}"))
        except BudgetExceeded:
            refused.append(str(number))

    threads = [threading.Thread(target=release, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    released = [record.entry for record in house.record.entries() if record.entry.decision == "released"]
    assert sum(record.rows for record in released) == 50
