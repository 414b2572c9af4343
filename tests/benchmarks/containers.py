"""Pools and Python jobs in containers: how long until they work and what a warm step takes, beside dask-gateway."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep, time
from typing import Any

import duckdb
from tests.benchmarks.gateway import server
from tests.benchmarks.report import headline, percentile, row, timed
from tests.e2e.service import Service, Settings
from tests.image_names import WORKER
from tests.launching import docker_pool, launched
from tests.plugins.engine import lack_here

STARTS = 5
STEPS = 100
WARM_UP = 20
_REMOVED_AFTER_S = 2.0
_REFILLED_AFTER_S = 8.0
"""The last job's containers are gone; a reserve is full again, and nothing is starting."""
SQL = "SELECT count(*) FROM small.events"
_WIDTHS = (58, 9, 9, 9)


def main() -> int:
    headline(f"Containers: {STARTS} starts, {STEPS} warm steps, one after the other")
    if reason := lack_here(WORKER):
        print(f"not measured: {reason}")
        return 0
    row(("seconds", "median", "worst", "goal"), _WIDTHS)
    _tell("docker pool of two workers, start to first result", _pool_starts(), 6.0)
    for reserve, begins_goal, workers_goal in ((0, 3.0, 6.0), (1, 0.5, 1.0)):
        how = "warm reserve" if reserve else "cold"
        begins, workers = _functions(reserve)
        _tell(f"Python job, {how}, POST to the function's first line", begins, begins_goal)
        _tell(f"Python job, {how}, POST to two workers", workers, workers_goal)
    if server.is_here():
        theirs = server.new_clusters(STARTS)
        _tell("dask-gateway (local), new cluster to first result", [each["first_result_s"] for each in theirs])
        _tell("dask-gateway (local), new cluster to two workers", [each["two_workers_s"] for each in theirs])
    print()
    row(("milliseconds", "p50", "p95", "goal"), _WIDTHS)
    medians = {backend: _steps(backend) for backend in ("docker", "local")}
    print(f"\na step on containers takes {medians['docker'] / medians['local']:.2f} times one on processes")
    return 0


def _tell(what: str, seconds: list[float], goal: float | None = None) -> None:
    row((what, percentile(seconds, 0.5), max(seconds), "" if goal is None else goal), _WIDTHS)


def _pool_starts() -> list[float]:
    async def once(root: Path) -> float:
        with launched(root) as ground:
            shape = ground.shape.model_copy(update={"workers": 2})
            started = perf_counter()
            async with docker_pool(ground, shape) as (pool, tasks):
                outcome = await pool.run(tasks.task("first"))
                assert outcome.ok, outcome
                return perf_counter() - started

    seconds = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(asyncio.run(once(Path(folder))))
    return seconds


def _functions(reserve: int) -> tuple[list[float], list[float]]:
    """Seconds from the request until the function began, and until it had two workers; by one machine's clock."""
    begins, workers = [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "lake").mkdir()
        Path(folder, "home").mkdir()
        lakes = {"core": {"empty": Path(folder, "lake")}}
        settings = Settings(backend="docker", memory="640MiB", reserve=reserve)
        with Service(Path(folder, "home"), lakes, settings) as service, service.client() as client:

            @client.job(site="core", columns={"began": "DOUBLE", "had_workers": "DOUBLE"}, workers=2, memory="1GiB")
            def moments(ctx: Any) -> Any:
                import time

                began = time.time()
                import pandas

                ctx.client.wait_for_workers(2)
                return pandas.DataFrame({"began": [began], "had_workers": [time.time()]})

            client.submit(moments).to_arrow()  # whatever is slow only once
            for _ in range(STARTS):
                sleep(_REFILLED_AFTER_S if reserve else _REMOVED_AFTER_S)
                started = time()
                [row] = client.submit(moments).to_arrow().to_pylist()
                begins.append(row["began"] - started)
                workers.append(row["had_workers"] - started)
    return begins, workers


def _steps(backend: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "lake", "events", "part-0.parquet")
        file.parent.mkdir(parents=True)
        duckdb.connect().execute(f"COPY (SELECT range AS id FROM range(1000)) TO '{file}' (FORMAT parquet)")
        Path(folder, "home").mkdir()
        lakes = {"core": {"small": Path(folder, "lake")}}
        with Service(Path(folder, "home"), lakes, Settings(backend=backend)) as service, service.client() as client:
            ask: Callable[[], object] = lambda: client.sql(SQL).to_arrow()  # noqa: E731
            ours = [timed(ask)[0] for _ in range(WARM_UP + STEPS)][WARM_UP:]
    goal = 120.0 if backend == "docker" else ""
    row(
        (f"count on a warm {backend} pool, POST to result", percentile(ours, 0.5), percentile(ours, 0.95), goal),
        _WIDTHS,
    )
    return percentile(ours, 0.5)


if __name__ == "__main__":
    raise SystemExit(main())
