"""The egress gate: what leaves is permitted, charged once and written down, and so is what may not leave."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.site.gate.house import AMOUNT, NOON, RELEASE, House, labelled, policy

from datacanal.domain.errors import BudgetExceeded, PolicyChanged, PolicyRefused
from datacanal.protocol.plan import PlanColumn
from datacanal.site.store.egress import Release, Source


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
            replace(RELEASE, job="job_2", sources=(Source("t", "loans", "snp_2", "p"),)),
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
    both = replace(RELEASE, sources=(*RELEASE.sources, Source("u", "people", "snp_3", "q"), RELEASE.sources[0]))
    house.out(both)
    with pytest.raises(BudgetExceeded) as caught:
        house.out(replace(both, job="job_2"))
    assert caught.value.data["lake"] == "u"


def test_what_comes_from_no_lake_is_recorded_without_charge(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"user_day": {"rows": 0}}))
    house.out(replace(RELEASE, sources=(), kind="result"))
    assert house.record.entries()[0].entry.policies == {}


OPEN, CLOSED = AMOUNT.model_copy(update={"released": True}), AMOUNT


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("result", labelled("a")),
        ("result", labelled("a", policy_class="masked")),
        ("result", labelled("a", OPEN)),
        ("transfer", labelled("a", policy_class="join_key")),
        ("step", labelled("a", CLOSED, policy_class="aggregate")),
    ],
)
def test_what_the_labels_let_out_leaves(kind: str, column: PlanColumn, tmp_path: Path) -> None:
    House(tmp_path, t=policy()).out(release_of(kind, column))


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("result", labelled("a", policy_class="join_key")),
        ("result", labelled("a", CLOSED, policy_class="aggregate")),
        ("result", labelled("a", CLOSED)),
        ("transfer", labelled("a", policy_class="secret")),
        ("transfer", labelled("a", OPEN, CLOSED, policy_class="aggregate")),
    ],
)
def test_what_the_labels_keep_in_stays_and_is_recorded(kind: str, column: PlanColumn, tmp_path: Path) -> None:
    house = House(tmp_path, t=policy())
    with pytest.raises(PolicyRefused):
        house.out(release_of(kind, column))
    [refused] = [found.entry for found in house.record.entries()]
    assert (refused.decision, refused.policies) == ("refused", {"t": "p"})
    assert "policy_refused" in refused.reason
    assert house.work.output("out_job_1_s1_d1") is None


def release_of(kind: str, column: PlanColumn) -> Release:
    return replace(RELEASE, kind=kind, columns=(labelled("b"), column))  # type: ignore[arg-type]  # a word of ours


def test_what_stays_at_its_site_is_not_charged(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"job": {"rows": 0}}))
    house.out(replace(RELEASE, kind="step"))
    with pytest.raises(BudgetExceeded):
        house.out(RELEASE)


def test_a_policy_that_does_not_hold_for_the_job_keeps_the_table_in(tmp_path: Path) -> None:
    house = House(tmp_path, u=policy())
    with pytest.raises(PolicyChanged):
        house.out(RELEASE)
    assert [found.entry.decision for found in house.record.entries()] == ["refused"]


def test_many_releases_at_once_never_overshoot_a_budget(tmp_path: Path) -> None:
    house = House(tmp_path, t=policy(budgets={"user_day": {"rows": 55}}))
    refused: list[str] = []
    start = threading.Barrier(32)

    def release(number: int) -> None:
        start.wait()
        try:
            house.out(replace(RELEASE, job=f"job_{number}"))
        except BudgetExceeded:
            refused.append(str(number))

    threads = [threading.Thread(target=release, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 27
    released = [record.entry for record in house.record.entries() if record.entry.decision == "released"]
    assert sum(record.rows for record in released) == 50
