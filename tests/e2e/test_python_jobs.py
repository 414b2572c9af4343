"""Functions at a lake: what they are given and return, who approves them, and the death of every part under them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.e2e.service import Service, Settings
from tests.e2e.test_containers import boxed_service
from tests.image_names import WORKER
from tests.launching import Boxes

from datacanal.client import Client, Job
from datacanal.domain.errors import DatacanalError

pytestmark = pytest.mark.docker

POLICY = """\
default_class = "public"
[datasets.people]
python = "approval"
entity = "person_id"
[datasets.people.columns]
name = { class = "secret" }
grade = { class = "aggregate", min_group = 2, max_share = 0.9 }
[datasets.ghosts]
python = "never"
[datasets.ghosts.columns]
label = { class = "masked", mask = "prefix(1)" }
"""


@pytest.fixture(scope="module")
def other_image() -> Iterator[str]:
    """The id of an image like the workers', with another environment variable."""
    name = f"datacanal-test-{uuid.uuid4().hex[:12]}"
    with closing(docker.from_env()) as engine:
        container = engine.containers.create(WORKER)
        try:
            image = container.commit(repository=name, changes=["ENV OF_THE_OTHER=yes"])
        finally:
            container.remove()
        yield str(image.id)
        engine.images.remove(name)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path], other_image: str
) -> Iterator[Service]:
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    settings = Settings(backend="docker", memory="640MiB", policies={"users": POLICY}, images=[other_image])
    with boxed_service(tmp_path_factory.mktemp("python"), sites, settings) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def boxes(service: Service) -> Iterator[Boxes]:
    with closing(docker.from_env()) as engine:
        yield Boxes(service.configuration, engine)


def succeeded(job: Job) -> Job:
    assert job.wait(90).state == "succeeded", job.view.problem
    return job


def test_a_function_reads_its_lake_and_an_answer_of_the_other_site(client: Client) -> None:
    @client.job(
        site="core",
        datasets=["transactions.payments"],
        inputs={"accounts": "SELECT account_id, count(*) AS ghosts FROM users.ghosts GROUP BY account_id"},
        columns={"channel": "VARCHAR", "paid": "DOUBLE", "haunted": "BIGINT", "since": "DATE"},
        workers=1,
    )
    def by_channel(ctx: Any, least: float, since: date) -> Any:
        payments = ctx.dataset("transactions.payments").pandas()
        ghosts = set(ctx.input("accounts").pandas()["account_id"])
        payments = payments[payments["amount"].astype(float) >= least]
        payments["haunted"] = payments["account_id"].isin(ghosts)
        payments["amount"] = payments["amount"].astype(float)
        found = payments.groupby("channel", as_index=False, observed=True).agg(
            paid=("amount", "sum"), haunted=("haunted", "sum")
        )
        found["channel"] = found["channel"].astype(str)
        found["since"] = since
        ctx.log("seen by the steward alone")
        return found

    job = succeeded(client.submit(by_channel, least=10.0, since=date(2025, 1, 2)))
    sql = """
        SELECT channel::VARCHAR AS channel, sum(amount::DOUBLE) AS paid,
          count(*) FILTER (account_id IN (SELECT account_id FROM users.ghosts)) AS haunted, DATE '2025-01-02' AS since
        FROM transactions.payments WHERE amount >= 10 AND channel IS NOT NULL GROUP BY 1
    """
    expected = {row["channel"]: row for row in client.sql(sql).to_arrow().to_pylist()}
    rows = {row["channel"]: row for row in job.to_arrow().to_pylist()}
    assert rows.keys() == expected.keys()
    for channel, row in rows.items():
        assert row["paid"] == pytest.approx(expected[channel]["paid"])
        assert (row["haunted"], row["since"]) == (expected[channel]["haunted"], expected[channel]["since"])
    assert job.stats.bytes_moved > 0
    assert "seen by the steward alone" not in str(job.logs().model_dump())


def test_a_function_runs_in_the_image_that_it_names(client: Client, other_image: str) -> None:
    @client.job(site="core", columns={"other": "VARCHAR"}, image=other_image)
    def which(ctx: Any) -> Any:
        import os

        import pyarrow as pa

        return pa.table({"other": [os.environ.get("OF_THE_OTHER")]})

    assert succeeded(client.submit(which)).to_arrow().to_pylist() == [{"other": "yes"}]


def test_an_image_that_the_site_does_not_allow_is_refused(client: Client) -> None:
    @client.job(site="core", columns={"n": "BIGINT"}, image=f"sha256:{'0' * 64}")
    def nowhere(ctx: Any) -> Any:
        raise AssertionError

    problem = client.submit(nowhere).wait(60).view.problem
    assert problem is not None
    assert (problem.code, "launcher.images" in problem.remedy) == ("container_refused", True)


def test_workers_share_the_work_of_a_dask_frame(client: Client) -> None:
    @client.job(
        site="core", datasets=["transactions.payments"], columns={"n": "BIGINT", "workers": "BIGINT"}, workers=2
    )
    def count(ctx: Any) -> Any:
        import pandas

        frame = ctx.dataset("transactions.payments").dask()
        workers = len(ctx.client.scheduler_info()["workers"])
        return pandas.DataFrame({"n": [len(frame)], "workers": [workers]})

    assert succeeded(client.submit(count)).to_arrow().to_pylist() == [{"n": 60, "workers": 2}]


def failure(job: Job) -> str:
    assert job.wait(90).state == "failed"
    assert job.view.problem is not None
    return job.view.problem.code


def people(client: Client, datasets: list[str]) -> Any:
    @client.job(site="crm", datasets=datasets, columns={"columns": "VARCHAR"}, workers=0)
    def columns(ctx: Any) -> Any:
        import pandas

        return pandas.DataFrame({"columns": [",".join(ctx.dataset(name).columns) for name in datasets]})

    return columns


def test_a_steward_approves_before_anything_is_read(service: Service, client: Client) -> None:
    function = people(client, ["users.people"])
    assert failure(client.submit(function)) == "approval_needed"
    at = ("--config", str(service.configuration), "--site", "crm")
    listed = service.command("approval", "list", *at, "--json")
    assert listed.returncode == 0, listed.stderr
    [asked] = json.loads(listed.stdout)
    shown = service.command("approval", "show", *at, asked["code"][:12])
    assert "ctx.dataset(name).columns" in shown.stdout, shown.stderr
    assert service.command("approval", "grant", *at, asked["code"][:12]).returncode == 0
    [row] = succeeded(client.submit(function)).to_arrow().to_pylist()
    assert "grade" in row["columns"].split(",")
    assert "name" not in row["columns"].split(",")
    assert service.command("approval", "revoke", *at, asked["code"][:12]).returncode == 0
    assert failure(client.submit(function)) == "approval_needed"


def test_a_policy_that_says_never_holds(client: Client) -> None:
    with pytest.raises(DatacanalError) as refused:
        client.submit(people(client, ["users.ghosts"]))
    assert refused.value.code == "policy_python_refused"


def slow(client: Client, seconds: float = 6.0) -> Any:
    @client.job(site="core", columns={"n": "BIGINT"}, workers=1)
    def wait(ctx: Any) -> Any:
        import time

        import pandas

        ctx.progress(0.25)
        total = 0
        until = time.time() + seconds
        while time.time() < until:
            total = ctx.client.submit(sum, [1, 1], pure=False).result()
        return pandas.DataFrame({"n": [total]})

    return wait


def under_way(client: Client) -> Job:
    """A job whose function has begun."""
    job = client.submit(slow(client))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(step.kind == "python" and step.fraction >= 0.25 for step in job.refresh().steps):
            return job
        time.sleep(0.2)
    raise AssertionError(f"the function has not begun: {job.view.steps}")


def kill_box(role: str) -> Callable[[Service, Boxes], None]:
    def kill(_: Service, boxes: Boxes) -> None:
        victims = boxes.containers(role, "core")
        assert victims
        for victim in victims:
            victim.kill()

    return kill


def kill_part(*words: str) -> Callable[[Service, Boxes], None]:
    def kill(service: Service, _: Boxes) -> None:
        victims = service.find(*words)
        assert victims
        for victim in victims:
            victim.kill()

    return kill


PARTS = {
    "driver": kill_box("driver"),
    "scheduler": kill_box("job_scheduler"),
    "worker": kill_box("job_worker"),
    "agent": kill_part("serve", "site core "),
    "launcher": kill_part("serve", "launcher"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_function_survives_the_death_of(service: Service, client: Client, boxes: Boxes, part: str) -> None:
    job = under_way(client)
    PARTS[part](service, boxes)
    assert succeeded(job).to_arrow().to_pylist() == [{"n": 2}]
    until = time.monotonic() + 30
    while boxes.containers("driver"):
        assert time.monotonic() < until, [box.name for box in boxes.containers()]
        time.sleep(0.5)


def test_workers_that_need_more_memory_than_they_have_fail_the_job_with_that_cause(client: Client) -> None:
    @client.job(site="core", columns={"n": "BIGINT"}, workers=1, memory="384MiB")
    def hungry(ctx: Any) -> Any:
        return ctx.client.submit(lambda: len(bytes(range(256)) * 2**23)).result()

    assert failure(client.submit(hungry)) == "out_of_memory"


def test_a_cancelled_function_is_gone(client: Client, boxes: Boxes) -> None:
    job = under_way(client)
    job.cancel()
    assert job.wait(30).state == "cancelled"
    until = time.monotonic() + 10
    while boxes.containers("driver"):
        assert time.monotonic() < until
        time.sleep(0.2)
