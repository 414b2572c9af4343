"""The container engine stops, or is killed, in the middle of a job, and comes back: the job ends right all the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.outcomes import NOW
from tests.e2e.own_engine import OwnEngine, own_engine
from tests.e2e.service import Service, Settings
from tests.e2e.test_faults import SLOW, started
from tests.image_names import WORKER
from tests.launching import Boxes

from datacanal.testing.oracle import Oracle
from datacanal.testing.pool_contract import until

pytestmark = pytest.mark.docker

MEMBERS = 3


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("only root can start an engine of its own")
    # Sockets have short names.
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, own_engine(Path(folder), WORKER) as engine:
        yield engine


@pytest.fixture(scope="module")
def service(
    engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory, sample_lakes: dict[str, Path]
) -> Iterator[Service]:
    settings = Settings(backend="docker", memory="640MiB", docker_host=engine.host)
    with Service(tmp_path_factory.mktemp("restarts"), {"all": sample_lakes}, settings) as service:
        yield service


def restart(engine: OwnEngine) -> None:
    engine.stop()
    engine.start()


def kill(engine: OwnEngine) -> None:
    engine.kill()
    engine.start()


WAYS: dict[str, Callable[[OwnEngine], None]] = {"is restarted": restart, "is killed and started": kill}


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_a_job_ends_right_when_the_engine(
    engine: OwnEngine, service: Service, sample_lakes: dict[str, Path], way: str
) -> None:
    with Oracle(sample_lakes, now=NOW, threads=2) as oracle:
        answer = oracle.run(f"SELECT x::BIGINT AS x FROM ({SLOW})").table.to_pylist()
    with service.client() as client:
        job = started(client, SLOW)
        WAYS[way](engine)
        assert job.wait(90).state == "succeeded", job.view.problem
        assert [{"x": int(row["x"])} for row in job.to_arrow().to_pylist()] == answer
    with closing(engine.client()) as docker_client:
        boxes = Boxes(service.configuration, docker_client)
        await until(lambda: len(boxes.containers()) == MEMBERS)
