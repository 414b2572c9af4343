"""Every process of a pool killed in the middle of a task, statements that want everything, and a parent that dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from datacanal.site.engine.specification import TaskDone, TaskFailed
from datacanal.site.fleet.life import Processes
from datacanal.site.fleet.local import LocalPool
from datacanal.testing.pool_contract import ENDLESS, Ground, shape_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class LocalGround(Ground):
    pool: LocalPool

    async def endless(self, name: str = "endless") -> asyncio.Task[TaskDone | TaskFailed]:
        """A statement that never ends, running."""
        task = self.task(name, ENDLESS)
        running = asyncio.create_task(self.pool.run(task))
        await self.begun(task)
        return running

    async def processes(self) -> Processes:
        return await self.pool.processes()

    async def all_workers_known(self) -> Processes:
        """The processes once the runner hears of a kernel at each worker, so that two tasks take a worker each."""
        async with asyncio.timeout(30):
            while True:
                found = await self.processes()
                if {psutil.Process(kernel).ppid() for kernel in found.kernels} == set(found.workers):
                    return found
                await asyncio.sleep(0.05)

    async def assert_works(self, name: str) -> None:
        """A task handed in before the pool knew of its loss is lost as well; the next is not."""
        outcome = await self.pool.run(self.task(name))
        if not outcome.ok:
            assert outcome.problem.code == "attempt_lost"
            outcome = await self.pool.run(self.task(name))
        assert outcome.ok, outcome

    async def workers_after(self, dead: int) -> list[int]:
        """The workers once the dead one is gone and replaced."""
        async with asyncio.timeout(30):
            while dead in (workers := (await self.processes()).workers) or len(workers) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return workers


@pytest.fixture(scope="module")
async def one_pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalGround]:
    home = tmp_path_factory.mktemp("faults")
    pool = LocalPool(shape_of(home, workers=2), home / "pool", express_s=0.5)
    yield LocalGround(pool=pool, lake=home / "lake", scratch=home / "scratch")
    await pool.ensure_stopped()


@pytest.fixture
async def ground(one_pool: LocalGround) -> LocalGround:
    await one_pool.pool.ensure_started()
    for path in one_pool.scratch.glob("*.arrow*"):
        path.unlink()
    return one_pool


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def busiest(pids: list[int]) -> int:
    """The process that computes most now: the one that runs the endless statement."""
    before = {pid: sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids}
    while True:
        await asyncio.sleep(0.1)
        grown = {pid: sum(psutil.Process(pid).cpu_times()[:2]) - before[pid] for pid in pids}
        if max(grown.values()) >= 0.2:
            return max(grown, key=grown.__getitem__)


async def assert_lost(running: asyncio.Task[TaskDone | TaskFailed]) -> None:
    outcome = await running
    assert not outcome.ok
    assert (outcome.problem.code, outcome.problem.retriable) == ("attempt_lost", True)


async def test_a_killed_kernel_costs_its_task_and_nothing_else(ground: LocalGround) -> None:
    running = await ground.endless()
    before = await ground.processes()
    os.kill(await busiest(before.kernels), signal.SIGKILL)
    await assert_lost(running)
    assert (await ground.pool.run(ground.task("after"))).ok
    after = await ground.processes()
    assert (after.workers, after.runners, after.schedulers) == (before.workers, before.runners, before.schedulers)
    assert ground.left_overs() == ["after.arrow"]


async def test_a_killed_worker_is_replaced_while_another_goes_on(ground: LocalGround) -> None:
    before = await ground.all_workers_known()
    first, second = await ground.endless("first"), await ground.endless("second")
    os.kill(before.workers[0], signal.SIGKILL)
    done, [other] = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    await assert_lost(done.pop())
    await ground.assert_works("beside")
    third = await ground.endless("third")
    after = await ground.workers_after(before.workers[0])
    assert (len(after), before.workers[1] in after) == (2, True)
    assert not other.done()
    for name in ("first", "second", "third"):
        await ground.pool.kill(name)
    await assert_lost(other)
    await assert_lost(third)


@pytest.mark.parametrize(
    "role", [lambda found: found.schedulers, lambda found: found.runners], ids=["scheduler", "runner"]
)
async def test_a_pool_whose_head_is_killed_starts_again_whole(
    role: Callable[[Processes], list[int]], ground: LocalGround
) -> None:
    running = await ground.endless()
    before = await ground.processes()
    os.kill(role(before)[0], signal.SIGKILL)
    await assert_lost(running)
    await ground.assert_works("after")
    old = [*before.schedulers, *before.runners, *before.workers, *before.kernels]
    assert all(map(is_gone, old))
    assert ground.left_overs() == ["after.arrow"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(length(repeat('x' || id, 2000000000 // length('x' || id)))) AS n FROM occ0.transactions.payments",
        "SELECT length(repeat('x', 2000000000)) AS n",
        "SELECT len(list(a.id || b.id || c.id)) AS n FROM occ0.transactions.payments a, occ0.transactions.payments b, "
        "occ0.transactions.payments c",
    ],
)
async def test_a_statement_that_wants_all_memory_ends_by_the_limit(sql: str, ground: LocalGround) -> None:
    outcome = await ground.pool.run(ground.task("greedy", sql))
    assert not outcome.ok
    assert outcome.problem.code == "out_of_memory", outcome.said
    assert (await ground.pool.run(ground.task("after"))).ok


async def test_short_tasks_pass_long_ones_and_preemption_is_not_seen(ground: LocalGround) -> None:
    blockers = [await ground.endless(f"blocker{number}") for number in range(2)]
    long = [asyncio.create_task(ground.pool.run(ground.task(f"long{number}", ENDLESS))) for number in range(2)]
    for number in range(3):
        assert (await ground.pool.run(ground.task(f"short{number}"))).ok
    assert not any(task.done() for task in (*blockers, *long))
    for name in ("blocker0", "blocker1", "long0", "long1"):
        await ground.pool.kill(name)
    for task in (*blockers, *long):
        await assert_lost(task)


async def test_a_task_that_left_the_express_slot_ends_in_a_regular_one(ground: LocalGround) -> None:
    blockers = [await ground.endless(f"blocker{number}") for number in range(2)]
    slow = "SELECT count(*) AS n FROM range(20000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
    running = asyncio.create_task(ground.pool.run(ground.task("slow", slow)))
    # A short task that ends after the slow one was handed in went through the express slot after it.
    assert (await ground.pool.run(ground.task("short"))).ok
    for number in range(2):
        await ground.pool.kill(f"blocker{number}")
    outcome = await running
    assert outcome.ok, outcome
    for blocker in blockers:
        await assert_lost(blocker)


async def test_spill_that_fills_its_disk_fails_with_the_cause(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, memory_bytes=64 * 2**20).model_copy(update={"spill_bytes": 10 * 2**20})
    pool = LocalPool(shape, tmp_path / "pool")
    await pool.ensure_started()
    ground = LocalGround(pool=pool, lake=tmp_path / "lake", scratch=tmp_path / "scratch")
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT range, range::VARCHAR || 'abcdefghijklm' FROM range(10000000))"
    outcome = await pool.run(ground.task("spilling", sql))
    await pool.ensure_stopped()
    assert not outcome.ok
    assert outcome.problem.code == "out_of_disk"


async def test_a_pool_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    left = [tmp_path / "scratch" / name for name in ("spill/worker-0/3/block", "job/out.arrow.tmp", "job/out.arrow")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    pool = LocalPool(shape_of(tmp_path), tmp_path / "pool")
    await pool.ensure_started()
    await pool.ensure_stopped()
    assert [path.exists() for path in left] == [False, False, True]


async def test_the_pool_listens_on_loopback_with_tls_and_serves_no_pages(ground: LocalGround) -> None:
    found = await ground.processes()
    listening = [
        connection.laddr
        for pid in (*found.schedulers, *found.workers, *found.runners, *found.kernels)
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert len(listening) == len(found.schedulers) + len(found.workers)
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    for address in listening:
        reader, writer = await asyncio.open_connection(address.ip, address.port, ssl=anybody)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await refused_without_a_certificate(reader)
        writer.transport.abort()


async def refused_without_a_certificate(reader: asyncio.StreamReader) -> None:
    """TLS 1.3 tells the client that its certificate is missing at its first read."""
    if not await reader.read(1):
        raise ConnectionError


PARENT = """
import asyncio, json, sys
from pathlib import Path
from datacanal.site.fleet.local import LocalPool
from datacanal.testing.pool_contract import ENDLESS, Ground, shape_of

async def main(home):
    pool = LocalPool(shape_of(home), home / "pool")
    await pool.ensure_started()
    ground = Ground(pool, home / "lake", home / "scratch")
    running = asyncio.create_task(pool.run(ground.task("endless", ENDLESS)))
    await ground.begun(ground.task("endless"))
    found = await pool.processes()
    print(json.dumps([*found.schedulers, *found.runners, *found.workers, *found.kernels]), flush=True)
    await running

asyncio.run(main(Path(sys.argv[1])))
"""


def test_nothing_is_left_of_a_pool_whose_parent_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        parent.kill()
    assert len(pids) >= 4
    asyncio.run(until(lambda: all(map(is_gone, pids))))
