"""kill -9 of any part in the middle of a job, and statements that would never end: the job ends right all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.outcomes import NOW
from tests.e2e.service import Service, names
from tests.plugins.services import StartService

from datacanal.client import Client, Job
from datacanal.testing.oracle import Oracle

TAKEOVER = timedelta(seconds=15)
ENDED_BY = timedelta(seconds=12)

# Some seconds of work in one step, over tables of both sites.
SLOW = """
    SELECT sum(hash(r.i, p.payment_id, q.person_id) % 7) AS x
    FROM transactions.payments p, users.people q, range(40000) AS r(i)
"""
ENDLESS = """
    WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n > 0)
    SELECT count(*) FROM r, transactions.payments
"""
HUGE_CONSTANT = "SELECT length(repeat('x', 2000000000)) FROM transactions.payments"
HUGE_VALUE = "SELECT max(length(repeat(channel, 500000000 + payment_id))) FROM transactions.payments"

PARTS = {
    "the control plane": ("serve", "control"),
    "the agent": ("serve", "site {site} "),
    "the runner": ("datacanal.site.engine.runner", "/sites/{site}/"),
    "the Dask scheduler": ("datacanal.site.engine.scheduler", "/sites/{site}/"),
    "the Dask worker": ("datacanal.site.engine.worker", "/sites/{site}/"),
    "the kernel process": ("datacanal.site.engine.kernel_process", "/sites/{site}/"),
}


@pytest.fixture(scope="module")
def faulty(start_service: StartService, sample_lakes: dict[str, Path]) -> Service:
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    return start_service(sites, memory="1GiB")


@pytest.fixture
def client(faulty: Service) -> Iterator[Client]:
    with faulty.client() as client:
        yield client


@pytest.fixture(scope="module")
def answer(sample_lakes: dict[str, Path]) -> int:
    with Oracle(sample_lakes, now=NOW, threads=2) as oracle:
        return int(oracle.run(f"SELECT x::BIGINT AS x FROM ({SLOW})").table["x"][0].as_py())


def started(client: Client, sql: str, **timeouts: float) -> Job:
    """A job whose last step runs now."""
    job = client.sql(sql, timeouts=timeouts)
    for event in job.events():
        if event.event == "step_running" and event.data.get("step") == "query":
            break
    assert job.refresh().state == "running"
    return job


@pytest.mark.parametrize("part", PARTS)
def test_a_job_survives_the_death_of(faulty: Service, client: Client, answer: int, part: str) -> None:
    job = started(client, SLOW)
    assert job.plan is not None
    words = [word.format(site=job.plan.meeting.site) for word in PARTS[part]]
    victims = faulty.find(*words)
    assert victims, names(faulty.processes())
    killed_at = datetime.now(UTC)
    for victim in victims:
        victim.kill()
    assert job.wait(60).state == "succeeded", job.view.problem
    [last] = [attempt for attempt in job.logs().attempts if attempt.step == "query" and attempt.outcome == "done"]
    assert last.started_at <= killed_at + TAKEOVER
    assert number(job) == answer


def number(job: Job) -> int:
    return int(job.to_arrow()["x"][0].as_py())


def test_a_job_survives_the_death_of_everything(
    start_service: StartService, sample_lakes: dict[str, Path], answer: int
) -> None:
    service = start_service({"all": sample_lakes})
    with service.client() as client:
        job = started(client, SLOW)
        service.kill()
        assert names(service.left_after(10)) == []
        service.start()
        assert job.wait(60).state == "succeeded", job.view.problem
        assert number(job) == answer


def quick(client: Client) -> None:
    """Another job goes on meanwhile."""
    assert client.sql("SELECT count(*) AS n FROM transactions.payments").to_arrow()["n"].to_pylist() == [60]


def took(job: Job) -> timedelta:
    view = job.view
    assert view.finished_at is not None
    return view.finished_at - view.submitted_at


def test_an_endless_recursion_ends_by_its_limit_while_other_jobs_go_on(client: Client) -> None:
    job = started(client, ENDLESS, run_timeout_s=4)
    quick(client)
    assert job.wait(30).view.problem is not None
    assert job.view.problem.code == "timeout"
    assert took(job) < ENDED_BY


def test_an_endless_recursion_ends_when_it_is_cancelled_while_other_jobs_go_on(client: Client) -> None:
    job = started(client, ENDLESS)
    quick(client)
    asked_at = datetime.now(UTC)
    assert job.cancel().wait(30).state == "cancelled"
    assert job.view.finished_at is not None
    assert job.view.finished_at - asked_at < ENDED_BY
    quick(client)


def test_a_huge_constant_ends_by_a_limit(client: Client) -> None:
    job = client.sql(HUGE_CONSTANT).wait(30)
    assert job.view.problem is not None
    assert job.view.problem.code in ("planning_too_expensive", "out_of_memory")
    assert took(job) < ENDED_BY
    quick(client)


def test_a_value_too_large_for_memory_ends_with_that_cause(client: Client) -> None:
    job = client.sql(HUGE_VALUE)
    quick(client)
    assert job.wait(30).view.problem is not None
    assert job.view.problem.code == "out_of_memory"
    assert took(job) < ENDED_BY
    quick(client)
