"""What nobody holds is removed, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.site.launcher.ground import BOOT, IMAGE, Ground, specification

from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.household import Household
from datacanal.site.launcher.reconciler import Reconciler
from datacanal.site.launcher.specification import PoolNetwork
from datacanal.testing.engine_fake import FakeEngine


class Scene:
    """A worker that runs in the pool p1, and a reconciler that is told the time."""

    def __init__(self, ground: Ground) -> None:
        self.engine = FakeEngine(lambda: datetime.now(UTC), {"datacanal-worker:latest": IMAGE})
        self.boots = Boots(ground.home / "boots.json")
        self.household: Household = ground.household(self.engine, boots=self.boots)
        self.household.hello(BOOT)
        self.household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
        self.household.start(specification())
        self.reconciler = Reconciler(self.household)

    def pass_time(self, seconds: float) -> tuple[int, int]:
        """How many containers and networks are left after a round at that time from now."""
        self.reconciler.reconcile(datetime.now(UTC) + timedelta(seconds=seconds))
        return len(self.household.containers()), len(self.household.networks())

    @property
    def container(self) -> str:
        return self.household.container("worker-1").id


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(Ground(tmp_path))


def test_what_runs_stays(scene: Scene) -> None:
    assert scene.pass_time(3600) == (1, 1)


def test_one_that_has_ended_stays_until_it_could_be_read(scene: Scene) -> None:
    scene.engine.end(scene.container, 1)
    assert scene.pass_time(9) == (1, 1)
    assert scene.pass_time(12) == (0, 1)


def test_one_that_was_never_started_goes(scene: Scene) -> None:
    labels = {**scene.household.container("worker-1").labels, "datacanal.name": "worker-2"}
    scene.engine.create("another", {"Labels": labels})
    assert scene.pass_time(29) == (2, 1)
    assert scene.pass_time(32) == (1, 1)


def test_one_of_an_earlier_boot_goes_at_once(scene: Scene) -> None:
    scene.boots.remember("core", "fedcba9876543210")
    assert scene.pass_time(0)[0] == 0


def test_while_no_boot_is_known_what_runs_stays(scene: Scene, tmp_path: Path) -> None:
    forgetful = Ground(tmp_path).household(scene.engine, boots=Boots(tmp_path / "no-boots.json"))
    Reconciler(forgetful).reconcile(datetime.now(UTC))
    assert len(forgetful.containers()) == 1


def test_a_network_without_containers_goes_after_a_while(scene: Scene) -> None:
    scene.household.remove("worker-1")
    assert scene.pass_time(100) == (0, 1)
    assert scene.pass_time(129) == (0, 1)
    assert scene.pass_time(132) == (0, 0)


def test_a_network_that_was_asked_for_since_stays(scene: Scene) -> None:
    scene.household.remove("worker-1")
    assert scene.pass_time(-25) == (0, 1)
    scene.household.ensure_network(PoolNetwork(pool="p1", boot=BOOT))
    assert scene.pass_time(20) == (0, 1)
    assert scene.pass_time(32) == (0, 0)


def test_a_network_that_is_used_again_begins_anew(scene: Scene) -> None:
    scene.household.remove("worker-1")
    assert scene.pass_time(100) == (0, 1)
    scene.household.start(specification())
    assert scene.pass_time(120) == (1, 1)
    scene.household.remove("worker-1")
    assert scene.pass_time(140) == (0, 1)
    assert scene.pass_time(171) == (0, 0)
