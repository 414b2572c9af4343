"""A function answers for its driver, with whatever is no answer: the job fails by name, and nothing else happens."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
from tests.e2e.boxes import left_of_jobs, sent
from tests.e2e.probes import liars
from tests.e2e.service import Service, Settings
from tests.e2e.test_containers import boxed_service
from tests.launching import Boxes

from datacanal.client import Client
from datacanal.client.job import Job

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]  # the first test waits for its job behind others

MARKER = Path("/tmp", liars.MARKER)  # noqa: S108  # where a hostile object would leave it
AT_ONCE = 4
MOST_BYTES = 700 * 2**20
"""Of the agent's memory: two frames of 64 MiB, both ends of every line full, and itself."""


@dataclass(frozen=True)
class Lie:
    """A function that does not keep to the rules, and the one code that its job may end with."""

    function: Any
    code: str
    terms: tuple[tuple[str, Any], ...] = ()


LIES = {
    "a stream that is cut off": Lie(liars.truncated, "python_returned_no_table"),
    "no stream": Lie(liars.empty, "python_returned_no_table"),
    "garbage": Lie(liars.garbage, "python_returned_no_table"),
    "a message of two gigabytes": Lie(liars.huge_message, "python_returned_no_table"),
    "lengths that lie": Lie(liars.lying_numbers, "python_returned_no_table"),
    "offsets that lie": Lie(liars.lying_offsets, "python_returned_no_table"),
    "a dictionary that lacks its words": Lie(liars.lying_dictionary, "python_returned_no_table"),
    "compressed buffers that lie": Lie(liars.lying_compression, "python_returned_no_table"),
    "a stream without end": Lie(liars.endless, "timeout", (("timeouts", {"run_timeout_s": 6}),)),
    "an object that runs when it is unpickled": Lie(liars.reduced, "python_returned_no_table"),
    "a pickle for a reply": Lie(liars.reduced_as_reply, "attempt_lost"),
    "an exception that harms whoever looks at it": Lie(liars.hostile_exception, "python_raised"),
    # Its workers die of it, one after the other.
    "the same from a worker": Lie(liars.hostile_exception_in_worker, "attempt_lost", (("workers", 1),)),
    "an exception of a hundred thousand causes": Lie(liars.deep_exception, "python_raised"),
    "a reply that is no JSON": Lie(liars.no_json, "attempt_lost"),
    "a reply of 64 MiB": Lie(liars.large_frame, "attempt_lost"),
    "a reply that says it has four gigabytes": Lie(liars.too_large_frame, "attempt_lost"),
    "half a reply": Lie(liars.cut_frame, "attempt_lost"),
    "progress without end": Lie(liars.endless_progress, "attempt_lost"),
}
TABLES = {
    "a type described by a pickle": liars.pickled_type,
    "a second stream behind the first": liars.second_stream,
}


@dataclass(frozen=True)
class Court:
    service: Service
    client: Client
    boxes: Boxes
    agent: psutil.Process


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path]) -> Iterator[Court]:
    sites = {"core": {"transactions": sample_lakes["transactions"]}}
    settings = Settings(backend="docker", memory="640MiB")
    with (
        closing(docker.from_env()) as engine,
        boxed_service(tmp_path_factory.mktemp("court"), sites, settings) as service,
        service.client() as client,
    ):
        [agent] = service.find("serve", "site core ")
        yield Court(service, client, Boxes(service.configuration, engine), agent)


@pytest.fixture(scope="module")
def heard(court: Court) -> Iterator[dict[str, Future[Job]]]:
    """Every liar's job, a few at once."""

    def run(lie: Lie) -> Job:
        return sent(court.client, lie.function, **dict(lie.terms)).wait(200)

    lies = {**LIES, **{name: Lie(function, "") for name, function in TABLES.items()}}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {name: threads.submit(run, lie) for name, lie in lies.items()}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_fails_by_its_name(heard: dict[str, Future[Job]], name: str) -> None:
    job = heard[name].result()
    assert job.view.problem is not None
    assert job.view.problem.code == LIES[name].code
    assert job.view.problem.remedy


@pytest.mark.parametrize("name", TABLES)
def test_what_is_a_table_after_all_is_only_that(heard: dict[str, Future[Job]], name: str) -> None:
    assert heard[name].result().to_arrow()["n"].to_pylist() == [1]


def test_nothing_was_executed_outside(court: Court, heard: dict[str, Future[Job]]) -> None:
    assert all(job.result().is_finished for job in heard.values())
    assert not MARKER.exists()
    pools = [box for box in court.boxes.containers() if "sql" in str(box.name)]
    assert pools
    for box in pools:
        assert box.exec_run(["test", "-e", str(MARKER)]).exit_code == 1
    pickle.loads(liars.bomb_pickle())  # noqa: S301  # what nobody must do leaves the marker indeed
    MARKER.unlink()


def test_the_agent_goes_on_and_is_no_larger_than_it_may_be(court: Court, heard: dict[str, Future[Job]]) -> None:
    assert all(job.result().is_finished for job in heard.values())
    assert court.agent.is_running()
    assert court.agent.memory_info().rss < MOST_BYTES
    rows = court.client.sql("SELECT count(*) AS n FROM transactions.payments").to_arrow()
    assert rows["n"].to_pylist() == [60]
    assert sent(court.client, liars.honest).to_arrow()["n"].to_pylist() == [42]


def test_no_container_of_a_liar_is_left(court: Court, heard: dict[str, Future[Job]]) -> None:
    assert all(job.result().is_finished for job in heard.values())
    assert left_of_jobs(court.boxes) == []
