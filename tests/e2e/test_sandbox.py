"""A Python job attacks from inside: every way out has its wall, named by the error that it gives.

One job carries all probes into its driver and its worker. What a probe meets must be the very error of its wall: a
broken probe is no wall. Those that would get through anywhere else are seen to, in a container without walls.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import docker
import pytest
from tests.e2e.boxes import listener, sent
from tests.e2e.probes import attempt, battery, bombs, files, kernel, network
from tests.e2e.probes.attempt import THROUGH, Facts, Probe
from tests.e2e.probes.battery import COLUMNS, OPEN, QUIET
from tests.e2e.probes.bombs import BOMBS
from tests.e2e.service import Service, Settings
from tests.e2e.test_containers import boxed_service
from tests.image_names import WORKER
from tests.launching import Boxes

from datacanal.testing.sample import write_sample_lakes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]  # the first test waits for all probes

ALL: dict[str, Mapping[str, Probe]] = {**QUIET, "bombs": BOMBS}
CASES = [
    *((place, subject, name) for place in ("driver", "worker") for subject, probes in QUIET.items() for name in probes),
    *(("driver", "bombs", name) for name in BOMBS),
]
OPENING = [(subject, name) for subject, probes in OPEN.items() for name in probes]
_CAPABILITIES = ["NET_ADMIN", "SYSLOG", "SYS_ADMIN", "SYS_NICE", "SYS_PTRACE", "SYS_TIME"]
"""Besides Docker's own; whoever tests in a container may not have others to give."""
_RUN = "import json, pickle; work, facts = pickle.load(open('/open/work', 'rb')); print(json.dumps(work(facts)))"
CANARY = f"canary{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Prison:
    """A service with a canary in every process's environment, and a listener of the host on all addresses."""

    service: Service
    boxes: Boxes
    listener: int
    datagrams: socket.socket
    lake: Path


@pytest.fixture(scope="module")
def prison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    lakes = write_sample_lakes(tmp_path_factory.mktemp("lakes"))
    sites = {"core": {"transactions": lakes["transactions"]}, "crm": {"users": lakes["users"]}}
    settings = Settings(backend="docker", memory="640MiB", environment={"DATACANAL_CANARY": CANARY})
    with (
        socket.create_server(("0.0.0.0", 0)) as served,  # noqa: S104  # what a host should not do, and may
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard,
        closing(docker.from_env()) as engine,
        boxed_service(tmp_path_factory.mktemp("prison"), sites, settings) as service,
    ):
        boxes = Boxes(service.configuration, engine)
        heard.bind(("0.0.0.0", 0))  # noqa: S104  # the same
        heard.setblocking(False)
        yield Prison(service, boxes, served.getsockname()[1], heard, lakes["transactions"])


@pytest.fixture(scope="module")
def facts(prison: Prison) -> Iterator[Facts]:
    """While another job runs at the same site."""
    with prison.service.client() as client:
        neighbour = sent(client, battery.neighbour, workers=1)
        try:
            yield facts_of(prison, neighbour.id)
        finally:
            neighbour.cancel()


def facts_of(prison: Prison, job: str) -> Facts:
    boxes, service = prison.boxes, prison.service
    until = time.monotonic() + 100
    while not (workers := [box for box in boxes.containers("job_worker") if is_listening(box)]):
        assert time.monotonic() < until, service.said()
        time.sleep(0.2)
    [scheduler] = boxes.containers("job_scheduler")
    key = scheduler.exec_run(["cat", "/work/tls/key.pem"])
    assert key.exit_code == 0
    others = {
        "the other job's scheduler": listener(scheduler),
        "the other job's worker": listener(workers[0]),
        "the SQL pool's scheduler": listener(boxes.containers("scheduler", "core")[0]),
        "the other site's SQL pool": listener(boxes.containers("scheduler", "crm")[0]),
    }
    return Facts(
        others=others,
        host=host_address(),
        listener=prison.listener,
        control=port_of(service.url),
        exchange=service.exchange_port("crm"),
        datagrams=prison.datagrams.getsockname()[1],
        agent=service.find("serve", "site core ")[0].pid,
        other_driver=boxes.containers("driver")[0].attrs["State"]["Pid"],
        home=str(service.home),
        other_stage=str(service.home / "state" / "sites" / "core" / "stages" / "python-1"),
        other_channel=str(service.home / "state" / "sites" / "core" / "channels" / "python-1-driver"),
        own_lake=str(prison.lake),
        canary=CANARY[::-1],
        key_digest=hashlib.sha256(key.output).hexdigest(),
    )


def is_listening(box: Any) -> bool:
    try:
        return bool(listener(box))
    except (IndexError, ValueError, docker.errors.APIError):
        return False


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def host_address() -> str:
    """Of the interface that leads outside, or of Docker's bridge where none does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("1.1.1.1", 53))
        except OSError:
            return "172.17.0.1"
        return str(line.getsockname()[0])


@pytest.fixture(scope="module")
def found(prison: Prison, facts: Facts) -> dict[tuple[str, str, str], str]:
    """What every probe met, by place, subject and name."""
    assert Path(facts.other_stage).is_dir()
    assert Path(facts.other_channel).is_dir()
    with prison.service.client() as client:
        job = sent(
            client,
            battery.battery,
            COLUMNS,
            params={"facts": json.dumps(asdict(facts))},
            datasets=["transactions.payments"],
            workers=1,
            memory="1GiB",
        )
        assert job.wait(150).state == "succeeded", (job.view.problem, prison.service.said())
        table = job.to_arrow()
    return {(row["place"], row["subject"], row["probe"]): row["outcome"] for row in table.to_pylist()}


@pytest.mark.parametrize(("place", "subject", "name"), CASES)
def test_no_way_out(found: dict[tuple[str, str, str], str], place: str, subject: str, name: str) -> None:
    assert found[place, subject, name] in ALL[subject][name].walls


def test_the_host_hears_no_datagram_of_a_job(prison: Prison, found: dict[tuple[str, str, str], str]) -> None:
    assert found
    with pytest.raises(BlockingIOError):
        prison.datagrams.recv(64)
    network.shout(Facts(host="127.0.0.1", datagrams=prison.datagrams.getsockname()[1]))
    assert prison.datagrams.recv(64)


@pytest.fixture(scope="module")
def opened(prison: Prison, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What the same probes meet as root in a container of the same image that has no walls."""
    modules = (attempt, battery, bombs, files, kernel, network)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        work = cloudpickle.dumps((battery.opened, json.dumps(asdict(facts))))
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    folder = tmp_path_factory.mktemp("open")
    (folder / "work").write_bytes(work)
    box = prison.boxes.client.containers.create(
        WORKER,
        entrypoint=["python", "-c", _RUN],
        name=f"datacanal-open-{secrets.token_hex(4)}",
        user="0:0",
        cap_add=_CAPABILITIES,
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        pid_mode="host",
        network_mode="host",
        environment={"DATACANAL_CANARY": CANARY},
        volumes={str(folder): {"bind": "/open", "mode": "ro"}},
    )
    try:
        box.start()
        status = box.wait(timeout=60)
        assert status["StatusCode"] == 0, box.logs().decode()
        return dict(json.loads(box.logs(stderr=False)))
    finally:
        box.remove(force=True, v=True)


@pytest.mark.parametrize(("subject", "name"), OPENING)
def test_where_nothing_is_shut_there_is_a_way(opened: dict[str, dict[str, str]], subject: str, name: str) -> None:
    assert opened[subject][name].startswith(THROUGH)
