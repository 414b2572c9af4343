"""What every pool keeps. A test class inherits `PoolContract` and has a fixture `ground` that gives a `Ground`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datacanal.site.engine.specification import PoolShape, Task
from datacanal.site.fleet.port import Pool
from datacanal.testing.tasks import parquet_source, statement_task, task_input, write_parquet

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) AS n FROM r"
_PATIENCE_S = 30
_LOOK_S = 0.01


@dataclass
class Ground:
    """A pool on directories of its own. Ask `task` for a count over its one dataset or for other statements."""

    pool: Pool
    lake: Path
    scratch: Path

    def task(self, name: str, sql: str = "SELECT count(*) AS n FROM occ0.transactions.payments") -> Task:
        """A statement that gives one BIGINT `n`."""
        path = self.lake / "payments" / "a.parquet"
        if not path.exists():
            write_parquet(path, "SELECT range AS id FROM range(1000)")
        given = task_input(parquet_source([path]), {"id": "BIGINT"})
        return statement_task(sql, {"n": "BIGINT"}, self.scratch / f"{name}.arrow", [given], task_id=name)

    async def begun(self, task: Task) -> None:
        """Wait until the task's statement runs: its output has begun to grow."""
        await until(lambda: Path(task.output + ".tmp").exists())

    def left_overs(self) -> list[str]:
        """Files in the scratch directory, apart from folders."""
        return [path.name for path in self.scratch.rglob("*") if path.is_file()]


def shape_of(home: Path, workers: int = 1, memory_bytes: int = 512 * 2**20) -> PoolShape:
    """A small pool over `home`/lake and `home`/scratch."""
    return PoolShape(
        workers=workers,
        threads=1,
        memory_bytes=memory_bytes,
        readable=[str(home / "lake")],
        scratch=str(home / "scratch"),
    )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only shows from outside; fails after half a minute."""
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # other processes bring it about and cannot set an event of ours
            await asyncio.sleep(_LOOK_S)


class PoolContract:
    """Mark the inheriting class so that its coroutines run."""

    async def test_a_task_leaves_its_output_and_tells_its_digest(self, ground: Ground) -> None:
        task = ground.task("count")
        outcome = await ground.pool.run(task)
        assert outcome.ok, outcome
        content = await asyncio.to_thread(Path(task.output).read_bytes)
        assert (outcome.rows, outcome.bytes) == (1, len(content))
        assert outcome.digest == hashlib.sha256(content).hexdigest()

    async def test_starting_twice_and_stopping_twice_is_the_same_as_once(self, ground: Ground) -> None:
        await ground.pool.ensure_started()
        await ground.pool.ensure_stopped()
        await ground.pool.ensure_stopped()
        outcome = await ground.pool.run(ground.task("stopped"))
        assert not outcome.ok
        assert outcome.problem.code == "attempt_lost"
        await ground.pool.ensure_started()
        assert (await ground.pool.run(ground.task("again"))).ok

    async def test_a_failing_task_is_an_outcome_and_leaves_nothing(self, ground: Ground) -> None:
        sql = "SELECT CAST('x' || id AS BIGINT) AS n FROM occ0.transactions.payments"
        outcome = await ground.pool.run(ground.task("failing", sql))
        assert not outcome.ok
        assert (outcome.problem.code, outcome.problem.retriable) == ("conversion_failed", False)
        assert ground.left_overs() == []

    async def test_more_tasks_than_can_run_all_end(self, ground: Ground) -> None:
        tasks = [ground.task(f"many{number}") for number in range(3 * ground.pool.slots)]
        outcomes = await asyncio.gather(*(ground.pool.run(task) for task in tasks))
        assert all(outcome.ok for outcome in outcomes)

    async def test_a_killed_task_is_lost_while_others_go_on(self, ground: Ground) -> None:
        endless = ground.task("endless", ENDLESS)
        running = asyncio.create_task(ground.pool.run(endless))
        await ground.begun(endless)
        assert (await ground.pool.run(ground.task("beside"))).ok
        await ground.pool.kill("endless")
        outcome = await running
        assert not outcome.ok
        assert (outcome.problem.code, outcome.problem.retriable) == ("attempt_lost", True)
        assert ground.left_overs() == ["beside.arrow"]
        assert (await ground.pool.run(ground.task("after"))).ok

    async def test_a_task_can_be_killed_before_it_begins_and_an_unknown_one_any_time(self, ground: Ground) -> None:
        await ground.pool.kill("unknown")
        endless = [ground.task(f"endless{number}", ENDLESS) for number in range(4)]
        running = [asyncio.create_task(ground.pool.run(task)) for task in endless]
        await ground.begun(endless[0])
        for task in reversed(endless):
            await ground.pool.kill(task.id)
        outcomes = await asyncio.gather(*running)
        assert {outcome.problem.code for outcome in outcomes if not outcome.ok} == {"attempt_lost"}

    async def test_stopping_ends_what_runs(self, ground: Ground) -> None:
        endless = ground.task("endless", ENDLESS)
        running = asyncio.create_task(ground.pool.run(endless))
        await ground.begun(endless)
        await ground.pool.ensure_stopped()
        outcome = await running
        assert not outcome.ok
        assert outcome.problem.code == "attempt_lost"
        assert ground.left_overs() == []
