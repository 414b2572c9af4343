"""The launcher, its agent or the engine end in the middle: what runs is found again, and nothing is left for good."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import docker
import pytest
from tests.integration.launching.between import EngineBetween
from tests.integration.launching.estate import ENGINE, Estate
from tests.integration.launching.site import new_boot
from tests.integration.launching.tidying import tidying

from datacanal.domain.errors import DatacanalError
from datacanal.site.launcher.boots import Boots

pytestmark = pytest.mark.docker


@pytest.fixture
def between(docker_client: docker.DockerClient) -> Iterator[tuple[Estate, EngineBetween]]:
    """A launcher of its own, that finds the engine behind a socket where its requests may be held up."""
    with Estate(docker_client, docker_host="unix:///nowhere") as estate:
        engine = EngineBetween(estate.folder / "engine.sock", ENGINE)
        estate.configure(engine.docker_host)
        estate.launch()
        estate.core.boots("p1")
        yield estate, engine
        estate.kill()
        engine.go_away()


def names(estate: Estate) -> list[str]:
    """Of the containers that the engine has for `core`."""
    return sorted(found.labels["datacanal.name"] for found in estate.containers(estate.core))


# ---------------------------------------------------------------- killed


def test_killed_before_a_container_was_started_it_starts_it_when_asked_again(
    between: tuple[Estate, EngineBetween],
) -> None:
    estate, engine = between
    wanted = estate.core.specification("worker-1")
    inmate = estate.core.listen(wanted)
    engine.hold(rb"POST \S+/start ")
    with ThreadPoolExecutor(1) as threads:
        starting = threads.submit(estate.core.start, wanted)
        engine.wait_until_held()
        estate.kill()
        engine.decide(passes=False)
        with pytest.raises(DatacanalError) as failure:
            starting.result(20)
    assert failure.value.code == "launcher_unreachable"
    assert estate.inspected(estate.core, "worker-1")["State"]["Status"] == "created"
    estate.launch()
    assert not estate.core.ask(lambda client: client.states())[0].running
    assert estate.core.start(wanted).running
    assert inmate.do("print(1)").strip() == "1"
    assert names(estate) == ["worker-1"]


def test_killed_while_containers_run_it_finds_them_again(docker_client: docker.DockerClient) -> None:
    with Estate(docker_client) as estate:
        estate.launch()
        estate.core.boots("p1")
        inmate = estate.core.put("worker-1")
        before = estate.core.ask(lambda client: client.states())
        estate.kill()
        assert inmate.do("print(1)").strip() == "1"
        assert estate.core.code_of(lambda client: client.states()) == "launcher_unreachable"
        estate.launch()
        assert estate.core.ask(lambda client: client.states()) == before
        assert [estate.core.start(estate.core.specification("worker-1"))] == before
        estate.core.boots()
        assert estate.containers(estate.core) == estate.networks(estate.core) == []


def test_what_an_earlier_boot_left_goes_when_the_launcher_comes_back(docker_client: docker.DockerClient) -> None:
    """A hello that was interrupted: the boot was remembered, and the launcher killed before anything was removed."""
    with Estate(docker_client) as estate:
        estate.launch()
        estate.core.boots("p1")
        estate.core.put("worker-1")
        (left,) = estate.containers(estate.core)
        estate.kill()
        Boots(estate.settings.home / "boots.json").remember("core", new_boot())
        with ThreadPoolExecutor(1) as threads:
            gone = threads.submit(left.wait, timeout=20, condition="removed")
            estate.launch()
            gone.result(20)
        assert names(estate) == []


# ---------------------------------------------------------------- two boots at once


def test_a_hello_while_a_container_is_being_started_leaves_none(between: tuple[Estate, EngineBetween]) -> None:
    estate, engine = between
    engine.hold(rb"POST \S+/start ")
    with ThreadPoolExecutor(1) as threads:
        wanted = estate.core.specification("worker-1")
        starting = threads.submit(estate.core.code_of, lambda client: client.start(wanted))
        engine.wait_until_held()
        estate.core.boots()
        engine.decide(passes=True)
        assert starting.result(20) in ("boot_superseded", "container_engine_refused")
    assert estate.containers(estate.core) == estate.networks(estate.core) == []


def test_a_hello_while_a_network_is_being_made_leaves_none(between: tuple[Estate, EngineBetween]) -> None:
    estate, engine = between
    engine.hold(rb"POST \S+/networks/create ")
    with ThreadPoolExecutor(1) as threads:
        wanted = estate.core.network("p2")
        making = threads.submit(estate.core.code_of, lambda client: client.ensure_network(wanted))
        engine.wait_until_held()
        estate.core.boots()
        engine.decide(passes=True)
        assert making.result(20) == "boot_superseded"
    assert estate.networks(estate.core) == []


# ---------------------------------------------------------------- orphans


def test_what_an_agent_that_never_returns_left_is_removed(docker_client: docker.DockerClient) -> None:
    with ExitStack() as stack:
        estate = stack.enter_context(Estate(docker_client))
        estate.launch()
        estate.core.boots("p1")
        for name in ("worker-1", "worker-2"):
            estate.core.put(name)
        estate.kill()
        tidy = stack.enter_context(tidying(estate, estate.core))
        tidy.reconcile(datetime.now(UTC) + timedelta(days=1))
        assert names(estate) == ["worker-1", "worker-2"]  # they run, so their agent may be there
        estate.core.leave()
        for left in estate.containers(estate.core):
            left.wait(timeout=20)
        ended = datetime.now(UTC)
        tidy.reconcile(ended + timedelta(seconds=8))
        assert names(estate) == ["worker-1", "worker-2"]  # for their words to be read
        tidy.reconcile(ended + timedelta(seconds=11))
        assert names(estate) == []
        assert len(estate.networks(estate.core)) == 1
        tidy.reconcile(ended + timedelta(seconds=43))
        assert estate.networks(estate.core) == []


def test_a_container_that_was_never_started_is_removed(between: tuple[Estate, EngineBetween]) -> None:
    estate, engine = between
    engine.hold(rb"POST \S+/start ")
    with ThreadPoolExecutor(1) as threads:
        wanted = estate.core.specification("worker-1")
        starting = threads.submit(estate.core.code_of, lambda client: client.start(wanted))
        engine.wait_until_held()
        estate.kill()
        assert starting.result(20) == "launcher_unreachable"
        engine.decide(passes=False)
    with tidying(estate, estate.core) as tidy:
        tidy.reconcile(datetime.now(UTC) + timedelta(seconds=20))
        assert names(estate) == ["worker-1"]
        tidy.reconcile(datetime.now(UTC) + timedelta(seconds=32))
        assert names(estate) == []


# ---------------------------------------------------------------- the engine


def test_an_engine_that_goes_away_is_told_and_found_when_it_is_back(between: tuple[Estate, EngineBetween]) -> None:
    estate, engine = between
    inmate = estate.core.put("worker-1")
    engine.go_away()
    wanted = estate.core.specification("worker-2")
    codes = [
        estate.core.code_of(lambda client: client.states()),
        estate.core.code_of(lambda client: client.start(wanted)),
        estate.core.code_of(lambda client: client.ensure_network(estate.core.network("p2"))),
    ]
    assert codes == ["container_engine_unreachable"] * 3
    assert inmate.do("print(1)").strip() == "1"
    engine.answer()
    assert [state.name for state in estate.core.ask(lambda client: client.states())] == ["worker-1"]
