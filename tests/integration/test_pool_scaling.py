"""An elastic pool follows its queue; members that live and do not answer are replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from datacanal.site.fleet.life import Pace
from datacanal.site.fleet.local import LocalPool
from datacanal.testing.pool_contract import ENDLESS, Ground, shape_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def elastic(home: Path, least: int, most: int, pace: Pace) -> AsyncIterator[tuple[LocalPool, Ground]]:
    shape = shape_of(home, workers=most).model_copy(update={"least": least})
    pool = LocalPool(shape, home / "pool", express_s=0.5, pace=pace)
    await pool.ensure_started()
    try:
        yield pool, Ground(pool, home / "lake", home / "scratch")
    finally:
        await pool.ensure_stopped()


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def workers(pool: LocalPool) -> list[int]:
    return (await pool.processes()).workers


async def test_a_pool_grows_with_its_queue_and_shrinks_when_it_has_nothing_to_do(tmp_path: Path) -> None:
    async with elastic(tmp_path, 1, 3, Pace(idle_s=1)) as (pool, ground):
        assert len(await workers(pool)) == 1
        tasks = [ground.task(f"endless{number}", ENDLESS) for number in range(5)]
        running = [asyncio.create_task(pool.run(task)) for task in tasks]
        for task in tasks[:3]:
            await ground.begun(task)
        assert len(await workers(pool)) == 3
        for task in tasks:
            await pool.kill(task.id)
        await asyncio.gather(*running)

        async def is_small() -> bool:
            return len(await workers(pool)) == 1

        await until(is_small)
        assert (await pool.run(ground.task("after"))).ok


async def test_a_pool_that_may_be_without_workers_starts_for_its_first_task_and_stops_after_its_last(
    tmp_path: Path,
) -> None:
    async with elastic(tmp_path, 0, 1, Pace(idle_s=1)) as (pool, ground):
        assert not (tmp_path / "pool").exists()
        assert (await pool.run(ground.task("first"))).ok
        pids = await workers(pool)

        async def is_gone() -> bool:
            return not any(map(is_alive, pids))

        await until(is_gone)
        assert (await pool.run(ground.task("second"))).ok


async def test_a_worker_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    async with elastic(tmp_path, 1, 1, Pace(look_s=0.5)) as (pool, ground):
        [stopped] = await workers(pool)
        os.kill(stopped, signal.SIGSTOP)

        async def is_replaced() -> bool:
            return stopped not in await workers(pool)

        await until(is_replaced)
        assert (await pool.run(ground.task("after"))).ok


async def test_a_pool_whose_runner_is_stopped_begins_anew(tmp_path: Path) -> None:
    async with elastic(tmp_path, 1, 1, Pace(look_s=0.5, patience_s=2)) as (pool, ground):
        [stopped] = (await pool.processes()).runners
        os.kill(stopped, signal.SIGSTOP)
        async with asyncio.timeout(30):
            while is_alive(stopped):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        outcome = await pool.run(ground.task("after"))
        assert outcome.ok, outcome
