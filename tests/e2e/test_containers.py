"""Both sites on pools of containers: real questions, and kill -9 of every part in the middle of a job."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest
from tests.e2e import test_berka
from tests.e2e.outcomes import NOW, ServiceBench, sort_columns
from tests.e2e.service import Service, Settings, names
from tests.e2e.test_faults import SLOW, started
from tests.launching import Boxes
from tests.plugins.estate import SITES, Estate, estate_lakes
from tests.plugins.tpch import ABSENT, tpch_is_here, tpch_queries

from datacanal.client import Client
from datacanal.testing.oracle import Oracle
from datacanal.testing.pool_contract import until

pytestmark = pytest.mark.docker

ROLES = ("scheduler", "runner", "worker")


@contextmanager
def boxed_service(home: Path, sites: Mapping[str, Mapping[str, Path]], settings: Settings) -> Iterator[Service]:
    """When it has stopped, no container and no network of its is left."""
    with closing(docker.from_env()) as engine:
        with Service(home, sites, settings) as service:
            boxes = Boxes(service.configuration, engine)
            yield service
        assert boxes.containers() == []
        assert boxes.networks() == []


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A service over the tables of TPC-H at scale 0.1."""
    root = tmp_path_factory.mktemp("boxed")
    lakes = estate_lakes(root)
    sites = {site: {lake: lakes[lake]} for lake, site in SITES.items()}
    with boxed_service(root / "service", sites, Settings(backend="docker")) as service:
        yield Estate(service, lakes)


@pytest.fixture
def client(boxed: Estate) -> Iterator[Client]:
    with boxed.client() as client:
        yield client


@pytest.fixture(scope="module")
def bench(boxed: Estate) -> Iterator[ServiceBench]:
    with boxed.client() as client:
        yield ServiceBench(client, boxed.lakes)


@pytest.fixture(scope="module")
def bank(boxed: Estate) -> Estate:
    return test_berka.imported(boxed)


@pytest.mark.tpch
@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_gives_what_one_duckdb_gives(bench: ServiceBench, number: int) -> None:
    if not tpch_is_here():
        pytest.skip(ABSENT)
    sql = tpch_queries()[number]
    assert bench.complaint(sql, {}, sort_columns(sql)) is None


@pytest.mark.berka
@pytest.mark.parametrize("question", test_berka.QUESTIONS)
def test_a_question_over_both_lakes_gives_what_one_duckdb_gives(
    bank: Estate, bench: ServiceBench, question: str
) -> None:
    assert bank.lakes
    sql = test_berka.QUESTIONS[question]
    assert bench.complaint(sql, test_berka.PARAMS.get(question, {}), sort_columns(sql)) is None


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path]) -> Iterator[Service]:
    sites = {site: {lake: sample_lakes[lake]} for lake, site in SITES.items()}
    settings = Settings(backend="docker", memory="640MiB")
    with boxed_service(tmp_path_factory.mktemp("faulty"), sites, settings) as service:
        yield service


@pytest.fixture(scope="module")
def answer(sample_lakes: dict[str, Path]) -> int:
    with Oracle(sample_lakes, now=NOW, threads=2) as oracle:
        return int(oracle.run(f"SELECT x::BIGINT AS x FROM ({SLOW})").table["x"][0].as_py())


Kill = Callable[[Service, Boxes, str], None]


@pytest.fixture
def boxes(faulty: Service) -> Iterator[Boxes]:
    with closing(docker.from_env()) as engine:
        yield Boxes(faulty.configuration, engine)


def kill_boxes(role: str) -> Kill:
    def kill(_: Service, boxes: Boxes, site: str) -> None:
        victims = boxes.containers(role, site)
        assert victims
        for victim in victims:
            victim.kill()

    return kill


def kill_kernels(_: Service, boxes: Boxes, site: str) -> None:
    processes = [process for box in boxes.containers("worker", site) for process in box.top()["Processes"]]
    kernels = [int(process[1]) for process in processes if "kernel_process" in process[-1]]
    assert kernels
    for pid in kernels:
        os.kill(pid, signal.SIGKILL)


def kill_part(*words: str) -> Kill:
    def kill(service: Service, _: Boxes, site: str) -> None:
        victims = service.find(*(word.format(site=site) for word in words))
        assert victims, names(service.processes())
        for victim in victims:
            victim.kill()

    return kill


PARTS = {
    **{role: kill_boxes(role) for role in ROLES},
    "kernel process": kill_kernels,
    "agent": kill_part("serve", "site {site} "),
    "launcher": kill_part("serve", "launcher"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_job_survives_the_death_of(faulty: Service, boxes: Boxes, answer: int, part: str) -> None:
    with faulty.client() as client:
        job = started(client, SLOW)
        assert job.plan is not None
        PARTS[part](faulty, boxes, job.plan.meeting.site)
        assert job.wait(60).state == "succeeded", job.view.problem
        assert int(job.to_arrow()["x"][0].as_py()) == answer


@pytest.mark.anyio
async def test_after_all_that_each_site_has_one_pool_of_containers(faulty: Service, boxes: Boxes) -> None:
    await until(lambda: all(len(boxes.containers(site=site)) == len(ROLES) for site in faulty.sites))


def test_a_statement_that_needs_more_memory_than_its_container_fails_with_that_cause(faulty: Service) -> None:
    huge = "SELECT max(length(repeat(channel, 500000000 + payment_id))) FROM transactions.payments"
    with faulty.client() as client:
        problem = client.sql(huge).wait(60).view.problem
        assert problem is not None
        assert problem.code == "out_of_memory"
        assert client.sql("SELECT count(*) AS n FROM transactions.payments").to_arrow()["n"].to_pylist() == [60]
