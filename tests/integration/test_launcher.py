"""The launcher with a real engine: one container however often it is asked for, none once it is unwanted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import docker
import pytest
from tests.integration.launching.estate import Estate

from datacanal.site.launcher.specification import ContainerSpecification

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def served(docker_client: docker.DockerClient) -> Iterator[Estate]:
    with Estate(docker_client) as estate:
        estate.launch()
        yield estate


@pytest.fixture
def estate(served: Estate) -> Estate:
    """Of a new boot, with an empty network for the pool p1."""
    served.core.leave()
    served.core.boots("p1")
    return served


def names(estate: Estate) -> list[str]:
    """Of the containers that the engine has for `core`."""
    return sorted(found.labels["datacanal.name"] for found in estate.containers(estate.core))


# ---------------------------------------------------------------- a life


def test_containers_asked_for_together_are_made_side_by_side(estate: Estate) -> None:
    together = Barrier(4, timeout=20)
    wanted = [estate.core.specification(f"worker-{number}") for number in range(4)]
    for each in wanted:
        estate.core.listen(each)

    def start(each: ContainerSpecification) -> None:
        together.wait()
        estate.core.start(each)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, wanted))
    accounts = [estate.inspected(estate.core, each.name) for each in wanted]
    spans = sorted((account["Created"], account["State"]["StartedAt"]) for account in accounts)
    assert all(later[0] < earlier[1] for earlier, later in pairwise(spans)), spans


def test_asking_twice_and_at_once_makes_one_container(estate: Estate) -> None:
    wanted = estate.core.specification("worker-1")
    estate.core.listen(wanted)
    with ThreadPoolExecutor(4) as threads:
        states = list(threads.map(estate.core.start, [wanted] * 4))
    assert len(set(states)) == 1
    assert names(estate) == ["worker-1"]


def test_waiting_ends_with_the_container_and_tells_how(estate: Estate) -> None:
    inmate = estate.core.put("worker-1")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(estate.core.ask, lambda client: client.wait("worker-1"))
        inmate.send("import os; os._exit(7)")
        state = waiting.result(20)
    assert (state.running, state.exit_code, state.oom_killed) == (False, 7, False)
    assert estate.core.start(estate.core.specification("worker-1")) == state


def test_a_container_that_is_removed_is_gone_whatever_it_does(estate: Estate) -> None:
    inmate = estate.core.put("worker-1")
    inmate.do("import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]")
    for _ in range(2):
        estate.core.ask(lambda client: client.remove("worker-1"))
        assert names(estate) == []
        estate.core.ask(lambda client: client.remove_network("p1"))
        assert estate.networks(estate.core) == []


def test_the_network_of_a_pool_that_still_has_members_stays(estate: Estate) -> None:
    inmate = estate.core.put("worker-1")
    assert estate.core.code_of(lambda client: client.remove_network("p1")) == "container_engine_refused"
    assert inmate.do("print(1)").strip() == "1"


def test_the_command_serves_as_the_process_of_these_tests_does(docker_client: docker.DockerClient) -> None:
    with Estate(docker_client) as estate:
        estate.launch(("-m", "datacanal.cli", "serve", "launcher", "--config"))
        estate.core.boots("p1")
        estate.core.start(estate.core.specification("worker-1"))
        entry = estate.inspected(estate.core, "worker-1")["Config"]["Entrypoint"]
        assert entry == ["python", "-m", "datacanal.site.engine.boxed", "worker"]
        assert estate.stop() == 0
        assert names(estate) == ["worker-1"]


# ---------------------------------------------------------------- boots


def test_a_new_boot_finds_nothing_of_the_earlier_ones(estate: Estate) -> None:
    with ThreadPoolExecutor(2) as threads:
        inmates = list(threads.map(estate.core.put, ["worker-1", "worker-2"]))
    inmates[1].send("import os; os._exit(0)")
    estate.core.boots()
    assert estate.containers(estate.core) == estate.networks(estate.core) == []


def test_an_earlier_boot_gets_nothing_any_more(estate: Estate) -> None:
    earlier = estate.core.specification("worker-1")
    network = estate.core.network("p2")
    estate.core.boots()
    assert estate.core.code_of(lambda client: client.start(earlier)) == "boot_superseded"
    assert estate.core.code_of(lambda client: client.ensure_network(network)) == "boot_superseded"
    assert estate.containers(estate.core) == estate.networks(estate.core) == []
