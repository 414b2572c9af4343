"""What a site may do with the engine: safe to ask twice, side by side, and nothing beyond its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.unit.site.launcher.ground import BOOT, IMAGE, SUBNETS, Ground, specification

from datacanal.domain.errors import (
    BootSuperseded,
    ContainerDiffers,
    ContainerEngineRefused,
    ImageNotFound,
    NoSubnetLeft,
    NotFound,
)
from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.household import Household
from datacanal.site.launcher.labels import engine_name
from datacanal.site.launcher.locks import Locks
from datacanal.site.launcher.specification import PoolNetwork
from datacanal.testing.engine_fake import EngineThatStartsNothing, EngineWhoseSubnetsAreTaken, FakeEngine

IMAGES = {"datacanal-worker:latest": IMAGE}
LATER = "fedcba9876543210"


def fake(kind: type[FakeEngine] = FakeEngine) -> FakeEngine:
    return kind(lambda: datetime.now(UTC), dict(IMAGES))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def engine() -> FakeEngine:
    return fake()


def ready(household: Household, boot: str = BOOT) -> Household:
    """With an agent that said hello, and the network of its pool."""
    household.hello(boot)
    household.ensure_network(PoolNetwork(pool="p1", boot=boot))
    return household


def names(household: Household) -> list[str]:
    return sorted(found.labels["datacanal.name"] for found in household.containers())


def test_asking_twice_starts_one_container(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    first = household.start(specification())
    assert household.start(specification()) == first
    assert first.running
    assert len(household.containers()) == 1


def test_another_specification_under_the_same_name_is_refused(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.start(specification())
    with pytest.raises(ContainerDiffers):
        household.start(specification(cpus=2))


def test_a_foreign_container_of_that_name_is_left_alone(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    foreign = engine.create(engine_name(ground.core, "worker-1"), {"Labels": {}})
    with pytest.raises(ContainerDiffers):
        household.start(specification())
    household.remove("worker-1")
    assert [found.id for found in engine.containers({})] == [foreign]


def test_one_that_has_ended_is_not_started_again(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.start(specification())
    engine.end(household.container("worker-1").id, 3)
    state = household.start(specification())
    assert (state.running, state.exit_code) == (False, 3)


def test_one_that_was_created_but_not_started_is_started(ground: Ground, engine: FakeEngine) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_container: str) -> None:
        raise Interrupted

    household = ready(ground.household(engine))
    engine.on_start = interrupt
    with pytest.raises(Interrupted):
        household.start(specification())
    engine.on_start = lambda _container: None
    assert household.start(specification()).running


def test_one_that_cannot_start_is_not_left_behind(ground: Ground) -> None:
    household = ready(ground.household(fake(EngineThatStartsNothing)))
    with pytest.raises(ContainerEngineRefused, match="no such file"):
        household.start(specification())
    assert household.containers() == []


def test_several_start_side_by_side(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    together = threading.Barrier(4, timeout=20)
    engine.on_start = lambda _container: together.wait() and None
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(household.start, [specification(name=f"worker-{number}") for number in range(4)]))
    assert names(household) == [f"worker-{number}" for number in range(4)]


def test_the_same_asked_for_side_by_side_is_made_once(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    with ThreadPoolExecutor(4) as threads:
        states = list(threads.map(household.start, [specification()] * 4))
    assert len(set(states)) == 1
    assert names(household) == ["worker-1"]


def test_removing_is_for_ever_and_may_be_repeated(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.start(specification())
    household.remove("worker-1")
    household.remove("worker-1")
    with pytest.raises(NotFound):
        household.state("worker-1")


def test_the_words_of_a_container_can_be_read(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.start(specification())
    assert household.logs("worker-1").endswith("said this")
    with pytest.raises(NotFound):
        household.logs("worker-2")


# ---------------------------------------------------------------- sites


def test_a_site_neither_sees_nor_touches_what_is_not_its_own(ground: Ground, engine: FakeEngine) -> None:
    core = ready(ground.household(engine))
    core.start(specification())
    elsewhere = replace(ground.core, home=ground.crm.home)  # of the same name, with another home
    for stranger in (ground.household(engine, ground.crm), ground.household(engine, elsewhere)):
        assert stranger.containers() == []
        assert stranger.networks() == []
        stranger.remove("worker-1")
        stranger.remove_network("p1")
        with pytest.raises(NotFound):
            stranger.logs("worker-1")
        stranger.hello(LATER)
    assert names(core) == ["worker-1"]
    assert len(core.networks()) == 1


def test_names_of_different_sites_never_meet(ground: Ground) -> None:
    crm = replace(ground.crm, home=ground.core.home)
    czech = [replace(crm, name=name) for name in ("účty", "učty", "core_x")]
    made = {engine_name(site, "worker-1") for site in (ground.core, ground.crm, crm, *czech)}
    assert len(made) == 6
    assert all(name.isascii() for name in made)


# ---------------------------------------------------------------- boots


def test_a_new_boot_finds_an_empty_house(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.start(specification())
    household.hello(BOOT)
    assert names(household) == ["worker-1"]
    household.hello(LATER)
    assert (household.containers(), household.networks()) == ([], [])


def test_an_earlier_boot_starts_nothing_any_more(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.hello(LATER)
    with pytest.raises(BootSuperseded):
        household.start(specification())
    with pytest.raises(BootSuperseded):
        household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))


def test_a_hello_while_a_container_is_being_made_undoes_it(ground: Ground, engine: FakeEngine) -> None:
    boots = Boots(ground.home / "boots.json")
    household = ready(ground.household(engine, boots=boots))
    engine.on_start = lambda _container: boots.remember("core", LATER)
    with pytest.raises(BootSuperseded):
        household.start(specification())
    assert household.containers() == []


def test_a_hello_while_a_network_is_being_made_undoes_it(ground: Ground) -> None:
    class EngineThatIsSlowWithNetworks(FakeEngine):
        def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
            boots.remember("core", LATER)
            return super().create_network(name, subnet, labels)

    boots = Boots(ground.home / "boots.json")
    household = ground.household(fake(EngineThatIsSlowWithNetworks), boots=boots)
    household.hello(BOOT)
    with pytest.raises(BootSuperseded):
        household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
    assert household.networks() == []
    household.ensure_network(PoolNetwork(pool="p1", boot=LATER))


def test_the_newest_boot_is_known_after_a_restart(ground: Ground) -> None:
    file = ground.home / "boots.json"
    Boots(file).remember("core", BOOT)
    Boots(file).remember("core", BOOT)
    again = Boots(file)
    assert (again.newest("core"), again.newest("crm")) == (BOOT, None)


# ---------------------------------------------------------------- networks and images


def test_a_pool_has_one_network_for_its_members(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine))
    household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
    (network,) = household.networks()
    household.start(specification())
    (configuration,) = engine.configurations.values()
    assert configuration["HostConfig"]["NetworkMode"] == network.id
    household.remove_network("p1")
    household.remove_network("p1")
    assert household.networks() == []


def test_without_a_network_nothing_starts(ground: Ground, engine: FakeEngine) -> None:
    household = ground.household(engine)
    household.hello(BOOT)
    with pytest.raises(NotFound, match="network of a pool"):
        household.start(specification())
    assert household.containers() == []


def test_a_network_that_an_earlier_boot_left_is_not_used(ground: Ground, engine: FakeEngine) -> None:
    boots = Boots(ground.home / "boots.json")
    household = ready(ground.household(engine, boots=boots))
    boots.remember("core", LATER)
    with pytest.raises(ContainerDiffers):
        household.ensure_network(PoolNetwork(pool="p1", boot=LATER))


def test_pools_get_addresses_that_nobody_has(ground: Ground, engine: FakeEngine) -> None:
    engine.create_network("foreign", IPv4Network("10.213.0.0/26"), {})
    household = ground.household(engine, subnets=IPv4Network("10.213.0.0/25"))
    household.hello(BOOT)
    for pool in ("p1", "p2"):
        household.ensure_network(PoolNetwork(pool=pool, boot=BOOT))
    assert {str(subnet) for subnet in engine.subnets()[1:]} == {"10.213.0.64/27", "10.213.0.96/27"}
    with pytest.raises(NoSubnetLeft, match=r"10\.213\.0\.0/25"):
        household.ensure_network(PoolNetwork(pool="p3", boot=BOOT))


def test_addresses_that_only_the_engine_knows_to_be_taken_are_passed_over(ground: Ground) -> None:
    engine = fake(EngineWhoseSubnetsAreTaken)
    ready(ground.household(engine))
    (subnet,) = engine.subnets()
    assert subnet.subnet_of(SUBNETS)
    assert not subnet.overlaps(IPv4Network("10.213.0.0/17"))


def test_an_image_that_is_not_there_is_named(ground: Ground, engine: FakeEngine) -> None:
    household = ready(ground.household(engine, image="datacanal-worker:9"))
    with pytest.raises(ImageNotFound, match="datacanal-worker:9"):
        household.start(specification())


def test_locks_are_forgotten_when_nobody_holds_them() -> None:
    locks = Locks()
    with locks.held("a"), locks.held("b"):
        pass
    assert locks._locks == {}
