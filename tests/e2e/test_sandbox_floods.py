"""A Python job says everything that it sees, and too much of it: its words stay at the site, and are not many."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import docker
import psutil
import pytest
from tests.e2e.boxes import left_of_jobs, sent
from tests.e2e.probes import floods
from tests.e2e.service import Service, Settings
from tests.e2e.test_containers import boxed_service
from tests.launching import Boxes

from datacanal.client import Client
from datacanal.client.job import Job
from datacanal.testing.sample import write_sample_lakes
from datacanal.testing.tasks import write_parquet

pytestmark = [pytest.mark.docker, pytest.mark.timeout(200)]

SECRET_WORD = f"word{secrets.token_hex(12)}"
MIB = 2**20
_DATASET = ["transactions.words"]


@dataclass(frozen=True)
class Site:
    service: Service
    client: Client
    boxes: Boxes

    @property
    def agent(self) -> psutil.Process:
        [agent] = self.service.find("serve", "site core ")
        return agent

    @property
    def disk_bytes(self) -> int:
        """Of all files of all parts, logs included."""
        return sum(path.lstat().st_size for path in self.service.home.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lakes = write_sample_lakes(tmp_path_factory.mktemp("lakes"))
    # The least and the greatest leave the site, as statistics.
    words = f"SELECT unnest(['aardvark', '{SECRET_WORD}', 'zebra']) AS word"
    write_parquet(lakes["transactions"] / "words" / "part.parquet", words)
    sites = {"core": {"transactions": lakes["transactions"]}}
    settings = Settings(backend="docker", memory="640MiB")
    with (
        closing(docker.from_env()) as engine,
        boxed_service(tmp_path_factory.mktemp("flooded"), sites, settings) as service,
        service.client() as client,
    ):
        yield Site(service, client, Boxes(service.configuration, engine))


@pytest.fixture(scope="module")
def teller(site: Site) -> Job:
    """The job that prints the lake."""
    return sent(site.client, floods.print_the_lake, datasets=_DATASET).wait(90)


def test_a_job_that_raises_the_lake_fails_without_its_words(teller: Job) -> None:
    assert teller.view.problem is not None
    assert teller.view.problem.code == "python_raised"
    assert SECRET_WORD not in teller.view.model_dump_json()


def test_no_event_of_it_holds_them(teller: Job) -> None:
    events = list(teller.events())
    assert events
    assert not any(SECRET_WORD in event.model_dump_json() for event in events)


def test_nor_does_what_is_told_of_its_attempts(teller: Job) -> None:
    assert SECRET_WORD not in teller.logs().model_dump_json()


def test_nor_does_the_control_plane(site: Site, teller: Job) -> None:
    state = site.service.home / "state"
    at_site = state / "sites"
    others = [path for path in state.rglob("*") if path.is_file() and not path.is_relative_to(at_site)]
    assert others
    assert [str(path) for path in others if SECRET_WORD.encode() in path.read_bytes()] == []


def test_a_steward_finds_them_at_the_site(site: Site, teller: Job) -> None:
    """Otherwise the tests above would look for what nobody kept."""
    told = site.service.home / "state" / "sites" / "core"
    assert any(SECRET_WORD.encode() in path.read_bytes() for path in told.glob("site.db*"))


def test_a_hundred_megabytes_of_words_are_a_few_at_the_site(site: Site) -> None:
    before, disk = site.agent.memory_info().rss, site.disk_bytes
    job = sent(site.client, floods.flood)
    assert job.to_arrow()["n"].to_pylist() == [42]
    assert site.agent.memory_info().rss - before < floods.FLOOD_BYTES // 2
    assert site.disk_bytes - disk < 8 * MIB


@pytest.mark.parametrize("bomb", [floods.memory, floods.memory_of_a_worker, floods.disk_as_large_as_the_memory])
def test_a_job_that_takes_more_memory_than_it_has_fails_alone(site: Site, bomb: object) -> None:
    workers = 1 if bomb is floods.memory_of_a_worker else 0
    problem = sent(site.client, bomb, workers=workers, memory="384MiB").wait(120).view.problem  # type: ignore[arg-type]  # a function
    assert problem is not None
    assert problem.code == "out_of_memory"
    assert site.client.sql("SELECT count(*) AS n FROM transactions.payments").to_arrow()["n"].to_pylist() == [60]


def test_a_job_that_fills_its_disk_fails_alone(site: Site) -> None:
    problem = sent(site.client, floods.disk, memory="1GiB").wait(90).view.problem
    assert problem is not None
    assert problem.code == "out_of_disk"


def test_no_container_of_these_jobs_is_left(site: Site) -> None:
    assert left_of_jobs(site.boxes) == []
