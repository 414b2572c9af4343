"""A Python job's own containers: hardened, on a network of their own, and whatever the function does stays inside."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.launching import JobCluster, job_cluster, launched
from tests.python_jobs import given, task_of
from tests.unit.site.launcher.hardened import broken_walls

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

CANARY = "850612-1234"
PAYMENTS = given("dataset", "bank.payments", "parquet", ["payments.parquet"], {"id": "BIGINT", "amount": "DOUBLE"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JobCluster]:
    """One for all tests here, with a driver for each task."""
    with launched(tmp_path_factory.mktemp("jobs")) as launcher:
        async with job_cluster(launcher) as cluster:
            with duckdb.connect() as connection:
                rows = "SELECT i AS id, i * 0.5 AS amount FROM range(100000) AS t(i)"
                connection.execute(
                    f"COPY ({rows}) TO '{cluster.stage}/payments.parquet' (FORMAT parquet, ROW_GROUP_SIZE 20000)"
                )
            yield cluster
        assert launcher.boxes.containers() == []
        assert launcher.boxes.networks() == []


async def test_the_containers_are_hardened(cluster: JobCluster) -> None:
    for container in cluster.ground.boxes.containers():
        config, host = container.attrs["Config"], container.attrs["HostConfig"]
        assert config["Labels"]["datacanal.role"] in ("job_scheduler", "job_worker")
        own = [line for line in config["Env"] if not line.startswith("SSL_CERT_FILE=")]  # that one is the image's
        assert broken_walls({**config, "Env": own}, host) == []


async def test_the_workers_compute_over_the_stage(cluster: JobCluster) -> None:
    def function(ctx: Any, least: int) -> Any:
        frame = ctx.dataset("bank.payments").dask()
        frame = frame[frame["id"] >= least]
        pids = ctx.client.run(lambda: __import__("socket").gethostname())
        ctx.log(sorted(pids.values()))
        return frame.assign(n=frame["id"] % 2).groupby("n")["amount"].sum().reset_index()

    task = task_of(
        function,
        {"n": "INTEGER", "amount": "DOUBLE"},
        given=[PAYMENTS],
        params={"least": 50_000},
        scheduler=cluster.scheduler,
        workers=2,
    )
    heard = await cluster.run(task)
    assert sorted(zip(*heard.table.to_pydict().values(), strict=True)) == [(0, 937487500.0), (1, 937500000.0)]
    assert heard.words.count("job-1-job-worker") == 2


async def test_a_frame_is_returned(cluster: JobCluster) -> None:
    def function(ctx: Any) -> Any:
        frame = ctx.dataset("bank.payments").pandas()
        return frame[frame["id"] < 3]

    heard = await cluster.run(task_of(function, {"id": "BIGINT", "amount": "DECIMAL(10,2)"}, given=[PAYMENTS]))
    assert [str(amount) for amount in heard.table["amount"].to_pylist()] == ["0.00", "0.50", "1.00"]


async def test_a_large_table_arrives_whole(cluster: JobCluster) -> None:
    def function(_: Any) -> Any:
        import numpy as np
        import pyarrow as pa

        batches = (pa.record_batch({"x": np.random.default_rng(seed).random(500_000)}) for seed in range(30))
        return pa.RecordBatchReader.from_batches(pa.schema([("x", pa.float64())]), batches)

    heard = await cluster.run(task_of(function, {"x": "DOUBLE"}))
    assert heard.table.num_rows == 15_000_000


async def test_an_exception_stays_in_the_words(cluster: JobCluster) -> None:
    def function(_: Any) -> Any:
        raise ValueError(CANARY)

    heard = await cluster.run(task_of(function))
    assert heard.why == "raised"
    assert CANARY in heard.words
    assert CANARY not in repr(heard.events)


async def test_what_is_no_table_and_what_has_other_columns_is_told(cluster: JobCluster) -> None:
    assert (await cluster.run(task_of(lambda _: 1))).why == "no_table"
    assert (await cluster.run(task_of(lambda _: pa.table({"m": [1]})))).why == "other_columns"


async def test_leaving_in_the_middle_is_no_success(cluster: JobCluster) -> None:
    def function(_: Any) -> Any:
        def batches() -> Any:
            yield pa.record_batch({"n": list(range(500_000))})
            os._exit(0)

        return pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), batches())

    heard = await cluster.run(task_of(function))
    assert [event.event for event in heard.events] == ["begins"]


async def test_fifty_megabytes_of_words_do_not_block(cluster: JobCluster) -> None:
    def function(_: Any) -> Any:
        for _ in range(50):
            print("x" * 1_000_000)
        return pa.table({"n": [1]})

    heard = await cluster.run(task_of(function))
    assert heard.table.num_rows == 1
    assert len(heard.words) <= 4 * 2**20


async def test_a_hostile_object_is_unpickled_by_nobody_but_the_driver(cluster: JobCluster) -> None:
    executed = "/tmp/datacanal-executed"  # noqa: S108  # in whichever container it is unpickled

    def function(ctx: Any) -> Any:
        class Hostile:
            def __reduce__(self) -> Any:
                return open, (executed, "w")

        ctx.client.submit(Hostile, pure=False).result()
        return Hostile()

    task = task_of(function, scheduler=cluster.scheduler, workers=2)
    heard = await cluster.run(task)
    assert heard.why in ("no_table", "raised")
    assert not Path(executed).exists()  # noqa: ASYNC240  # one look


async def test_an_undeclared_dataset_is_refused(cluster: JobCluster) -> None:
    def function(ctx: Any) -> Any:
        return ctx.dataset("bank.people").arrow().to_table()

    heard = await cluster.run(task_of(function, given=[PAYMENTS]))
    assert heard.why == "raised"
    assert "The job declares no dataset 'bank.people'. It declares: bank.payments." in heard.words


async def test_another_environment_is_told(cluster: JobCluster) -> None:
    heard = await cluster.run(task_of(lambda _: None, python="3.9", packages={"pandas": "0.1"}))
    assert [event.event for event in heard.events] == ["gave_up"]
    assert heard.why == "environment"
    assert "Python 3.9" in heard.words
    assert "- pandas 0.1, here" in heard.words


async def test_a_full_disk_is_named(cluster: JobCluster) -> None:
    def function(_: Any) -> Any:
        with Path("/work/much").open("wb") as file:
            while True:
                file.write(bytes(2**20))

    assert (await cluster.run(task_of(function))).why == "out_of_disk"
