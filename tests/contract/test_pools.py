"""The real pool and the fake one keep the same contract; the failing fakes fail as their names say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.launching import docker_pool, launched

from datacanal.domain.errors import PoolDidNotStart
from datacanal.site.fleet.local import LocalPool
from datacanal.testing.fake_pool import FakePool, PoolThatHangs, PoolThatLosesItsWorker, PoolThatNeverStarts
from datacanal.testing.pool_contract import Ground, PoolContract, shape_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def clean(ground: Ground) -> Ground:
    for path in ground.scratch.glob("*.arrow*"):
        path.unlink()
    return ground


class TestLocalPool(PoolContract):
    @pytest.fixture(scope="class")
    async def pool_ground(self, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
        """One pool for all tests of the contract: it takes a second to start."""
        home = tmp_path_factory.mktemp("pool")
        pool = LocalPool(shape_of(home), home / "pool", express_s=1)
        yield Ground(pool, home / "lake", home / "scratch")
        await pool.ensure_stopped()

    @pytest.fixture
    async def ground(self, pool_ground: Ground) -> Ground:
        await pool_ground.pool.ensure_started()
        return clean(pool_ground)


@pytest.mark.docker
class TestDockerPool(PoolContract):
    @pytest.fixture(scope="class")
    async def pool_ground(self, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
        """One pool for all tests of the contract: it takes some seconds to start."""
        with launched(tmp_path_factory.mktemp("docker")) as launcher:
            async with docker_pool(launcher) as (_, ground):
                yield ground
            assert launcher.boxes.containers() == []
            assert launcher.boxes.networks() == []

    @pytest.fixture
    async def ground(self, pool_ground: Ground) -> Ground:
        await pool_ground.pool.ensure_started()
        return clean(pool_ground)


class TestFakePool(PoolContract):
    @pytest.fixture
    async def ground(self, tmp_path: Path) -> AsyncIterator[Ground]:
        pool = FakePool(shape_of(tmp_path))
        await pool.ensure_started()
        yield Ground(pool, tmp_path / "lake", tmp_path / "scratch")
        await pool.ensure_stopped()


async def test_a_pool_that_never_starts_says_why(tmp_path: Path) -> None:
    pool = PoolThatNeverStarts(shape_of(tmp_path))
    with pytest.raises(PoolDidNotStart, match="scheduler"):
        await pool.ensure_started()


async def test_a_pool_that_loses_its_worker_runs_the_next_attempt(tmp_path: Path) -> None:
    pool = PoolThatLosesItsWorker(shape_of(tmp_path))
    await pool.ensure_started()
    ground = Ground(pool, tmp_path / "lake", tmp_path / "scratch")
    first, second = await pool.run(ground.task("a")), await pool.run(ground.task("b"))
    assert (first.ok, second.ok, [task.id for task in pool.ran]) == (False, True, ["a", "b"])


async def test_a_pool_that_hangs_ends_a_task_by_its_kill(tmp_path: Path) -> None:
    pool = PoolThatHangs(shape_of(tmp_path))
    await pool.ensure_started()
    running = asyncio.create_task(pool.run(Ground(pool, tmp_path / "lake", tmp_path / "scratch").task("a")))
    await pool.hangs.wait()
    await pool.kill("a")
    assert not (await running).ok
