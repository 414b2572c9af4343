"""A plan reads well."""

from __future__ import annotations

from typing import Any

from datacanal.planning.explain import explain_text, size
from datacanal.protocol.public import JobStats, StepStats, TransferStats


def stats(**transfer: Any) -> JobStats:
    sent = {"from": "edge", "to": "core", "kind": "relation", "rows": 9, "bytes_wire": 1234, "bytes_estimated": 1}
    return JobStats(
        job_id="job_1",
        state="succeeded",
        elapsed_ms=81,
        bytes_scanned=2_500_000,
        bytes_moved=1234,
        result_rows=3,
        transfers=[TransferStats(**{**sent, **transfer})],
        steps=[StepStats(id="scan_occ1", site="edge", kind="scan", elapsed_ms=12)],
    )


SQL = "SELECT tier, sum(amount) AS s FROM payments JOIN people USING (account_id) WHERE tier = 'gold' GROUP BY tier"


def test_it_says_what_runs_where_what_moves_and_why(bench: Any) -> None:
    text = explain_text(bench.plan(SQL))
    assert text.splitlines()[0].startswith("Everything meets at core: the fewest bytes move to it, about ")
    assert "not at edge: about " in text
    assert "1. scan_occ1 at edge: scan" in text
    assert "reads users.people" in text
    assert "edge sends users.people to core" in text
    assert "2 of 6 columns, rows where (tier = 'gold')" in text
    assert "instead of the whole dataset" in text
    assert "2. query at core: the statement itself" in text
    assert "takes what scan_occ1 sent" in text
    assert "Result: tier ENUM('basic', 'gold'), s DECIMAL(38,2)" in text
    assert "Actual" not in text


def test_after_the_run_the_actual_figures_stand_beside_the_estimates(bench: Any) -> None:
    text = explain_text(bench.plan(SQL), stats())
    assert "moved 1.2 kB and 9 rows" in text
    assert "scan (took 12 ms)" in text
    assert "Actual: scanned 2.5 MB, moved 1.2 kB, 3 rows, 81 ms." in text


def test_figures_of_another_transfer_are_not_shown_for_it(bench: Any) -> None:
    assert "moved 1.2 kB and 9 rows" not in explain_text(bench.plan(SQL), stats(kind="count"))


def test_a_plan_where_nothing_moves_says_so(bench: Any) -> None:
    text = explain_text(bench.plan("FROM people"))
    assert text.startswith("Everything meets at edge: all datasets are here, nothing moves.")
    assert "moves 0 B" in text


def test_a_statement_without_datasets_says_that_any_site_would_do(bench: Any) -> None:
    assert "not at edge: any site would do" in explain_text(bench.plan("SELECT 1"))


def test_a_plan_shows_its_policy_decisions(bench: Any) -> None:
    plan = bench.plan("FROM people").model_copy(update={"policy": ["all columns are public"]})
    assert explain_text(plan).endswith("Policy: all columns are public")


def test_sizes_are_rounded_as_people_say_them() -> None:
    assert [size(n) for n in (0, 999, 1000, 1_250_000, 3 * 10**12, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.2 MB", "3.0 TB", "5000.0 TB",
    ]  # fmt: skip
