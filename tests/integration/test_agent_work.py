"""Agents of two sites under a real control plane, over real HTTP; only their pools run inside this process."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datacanal.configuration import LimitsSection
from datacanal.control.catalogue import Known
from datacanal.control.compiling import StatementCompiler
from datacanal.control.planner import Question
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.protocol.plan import Plan
from datacanal.serving.runner import bind
from datacanal.site.agent import Agent
from datacanal.site.assembly import SiteSetup, running_site
from datacanal.site.lakes.registry import Lake
from datacanal.site.places import Places
from datacanal.site.policy import Policy
from datacanal.site.store.database import open_database
from datacanal.site.store.egress import EgressBook
from datacanal.site.store.models import EgressRow
from datacanal.testing.control_house import ControlHouse, control_house
from datacanal.testing.pool_fake import InProcessPool, PoolThatHangs, PoolThatLosesTasks

LAKES = {"core": "transactions", "users": "people"}
PUBLIC = Policy.model_validate({"default_class": "public"})


class OneAtATime(StatementCompiler):
    """The compiler with a binder in this process, which only one thread may use at once."""

    def __init__(self) -> None:
        super().__init__(DuckDBBinder())
        self._lock = threading.Lock()

    def compile(self, question: Question, known: Known, connected: frozenset[str]) -> Plan:
        with self._lock:
            return super().compile(question, known, connected)


class Town:
    """A control plane and the agents of two sites, on lakes in a folder."""

    def __init__(self, folder: Path, control: ControlHouse, admin: httpx.AsyncClient) -> None:
        self.folder = folder
        self.control = control
        self.admin = admin
        self._agents: dict[str, tuple[asyncio.Task[None], AsyncExitStack]] = {}
        self.pools: dict[str, InProcessPool] = {}

    async def open(
        self,
        site: str,
        pool: Callable[[list[Path], Path], InProcessPool] = InProcessPool,
        policy: Policy = PUBLIC,
        control_url: str | None = None,
    ) -> None:
        """Start the site's agent; returns when its datasets are in the catalogue."""
        lake = self.folder / LAKES[site]
        places = Places(self.folder / "sites" / site)
        self.pools[site] = pool([lake], places.scratch)
        setup = SiteSetup(
            name=site,
            control_url=control_url or self.control.url,
            lakes=(Lake(LAKES[site], lake, policy),),
            places=places,
            token=lambda: (self.folder / "control" / "sites" / site / "token").read_text().strip(),
            pool=self.pools[site],
            limits=LimitsSection(),
        )
        stack = AsyncExitStack()
        agent: Agent = await stack.enter_async_context(running_site(setup, bind("127.0.0.1:0", key="exchange")))
        self._agents[site] = (asyncio.create_task(agent.run()), stack)
        await agent.reported.wait()

    async def refreshed(self, lake: str) -> None:
        answer = await self.admin.post(f"/v1/lakes/{lake}/refresh")
        assert answer.is_success, answer.text

    async def close(self, site: str) -> None:
        task, stack = self._agents.pop(site)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stack.aclose()

    async def submit(self, sql: str) -> str:
        answer = await self.admin.post("/v1/jobs", json={"sql": sql, "purpose": "test"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def ended(self, job: str) -> dict[str, Any]:
        view: dict[str, Any] = (await self.admin.get(f"/v1/jobs/{job}", params={"wait_s": 30})).json()
        return view

    async def run(self, sql: str) -> dict[str, Any]:
        view = await self.ended(await self.submit(sql))
        assert view["state"] == "succeeded", view["problem"]
        return view

    async def result(self, job: str, format_: str = "arrow", **headers: str) -> httpx.Response:
        return await self.admin.get(f"/v1/jobs/{job}/result", params={"format": format_}, headers=headers)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        answer = await self.result((await self.run(sql))["id"])
        assert answer.status_code == 200, answer.text
        table = pa.ipc.open_stream(answer.content).read_all()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def egress(self, site: str) -> list[EgressRow]:
        engine = open_database(self.folder / "sites" / site / "site.db")
        records = list(EgressBook(engine).records())
        engine.dispose()
        return records


class Line:
    """A line to the control plane that stays where it is while the control plane behind it comes and goes."""

    def __init__(self, server: asyncio.Server) -> None:
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self.behind: str | None = None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams = [writer]
        try:
            if self.behind is not None:
                host, port = self.behind.removeprefix("http://").split(":")
                far_reader, far_writer = await asyncio.open_connection(host, int(port))
                streams.append(far_writer)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except OSError:
            pass
        for stream in streams:
            stream.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    ends: list[Line] = []
    server = await asyncio.start_server(lambda reader, writer: ends[0].carry(reader, writer), "127.0.0.1", 0)
    ends.append(Line(server))
    try:
        yield ends[0]
    finally:
        server.close()


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    (folder / "control").mkdir()
    async with control_house(folder / "control", compiler=OneAtATime()) as control:
        built = Town(folder, control, await control.admin())
        try:
            yield built
        finally:
            for site in list(built._agents):
                await built.close(site)


def write(folder: Path, path: str, query: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


def play(folder: Path, story: Callable[[Town], Coroutine[Any, Any, None]]) -> None:
    """Two lakes, a control plane, and what the test does with them."""
    write(
        folder,
        "transactions/payments/1.parquet",
        "SELECT range id, range % 10 person, range * 1.5 amount FROM range(1000)",
    )
    write(folder, "people/persons/1.parquet", "SELECT range person, 'p' || range AS name FROM range(10)")

    async def main() -> None:
        async with town(folder) as built:
            await story(built)

    asyncio.run(main())


JOIN = (
    "SELECT name, count(*) n FROM transactions.payments JOIN people.persons USING (person)"
    " WHERE amount > 100 GROUP BY name ORDER BY name"
)


def test_a_question_over_both_lakes_is_answered_and_every_release_written_down(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        await town.open("users")
        view = await town.run(JOIN)
        answer = await town.result(view["id"])
        table = pa.ipc.open_stream(answer.content).read_all()
        assert table.to_pylist()[:2] == [{"name": "p0", "n": 93}, {"name": "p1", "n": 93}]
        (transfer,) = view["stats"]["transfers"]
        assert transfer["bytes_wire"] > 0
        records = {record.kind: record for site in LAKES for record in town.egress(site)}
        assert records["transfer"].bytes == transfer["bytes_wire"]
        assert records["result"].rows == 10
        assert {record.purpose for record in records.values()} == {"test"}
        kept = [file for site in LAKES for file in (tmp_path / "sites" / site / "scratch" / "inputs").iterdir()]
        assert kept == []

    play(tmp_path, story)


def test_a_result_comes_in_every_format_from_any_offset_and_repeated_names_stay(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        job = (await town.run("SELECT id, id + 1 AS id, 'é' AS t, sum(id) OVER () AS h FROM transactions.payments"))[
            "id"
        ]
        whole = {format_: await town.result(job, format_) for format_ in ("arrow", "parquet", "csv", "json")}
        assert {answer.status_code for answer in whole.values()} == {200}
        arrow = pa.ipc.open_stream(whole["arrow"].content).read_all()
        assert arrow.schema.names == ["id", "id", "t", "h"]
        assert pq.read_table(io.BytesIO(whole["parquet"].content)).num_rows == 1000
        assert whole["csv"].text.count("\n") == 1001
        assert len(json.loads(whole["json"].content)) == 1000
        rest = await town.result(job, "csv", Range="bytes=100-")
        assert rest.status_code == 206
        assert rest.content == whole["csv"].content[100:]
        assert (await town.result(job, "csv", Range=f"bytes={10**9}-")).status_code == 416
        exports = [task for task in town.pools["core"].ran if not task.gated]
        assert len(exports) == 4

    play(tmp_path, story)


def test_a_result_of_ordinary_types_is_sent_as_it_is_kept(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]
        assert len(town.pools["core"].ran) == 1

    play(tmp_path, story)


def test_new_files_are_seen_and_do_not_disturb_what_is_planned(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", PoolThatHangs)
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        pool = town.pools["core"]
        assert isinstance(pool, PoolThatHangs)
        await pool.hangs.wait()
        write(tmp_path, "transactions/payments/2.parquet", "SELECT 1 id, 1 person, 1.5 amount")
        await town.refreshed("transactions")
        pool.let_go.set()
        assert (await town.ended(job))["state"] == "succeeded"
        answer = await town.result(job)
        assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1001}]

    play(tmp_path, story)


def test_a_changed_file_fails_the_step_instead_of_giving_other_rows(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", PoolThatHangs)
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        pool = town.pools["core"]
        assert isinstance(pool, PoolThatHangs)
        await pool.hangs.wait()
        write(tmp_path, "transactions/payments/1.parquet", "SELECT 1 id, 1 person, 1.5 amount")
        pool.let_go.set()
        view = await town.ended(job)
        assert view["state"] == "failed"
        assert view["problem"]["code"] == "snapshot_changed"

    play(tmp_path, story)


def test_cancelling_a_job_kills_its_task(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", PoolThatHangs)
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        pool = town.pools["core"]
        assert isinstance(pool, PoolThatHangs)
        await pool.hangs.wait()
        await town.admin.post(f"/v1/jobs/{job}/cancel")
        assert (await town.ended(job))["state"] == "cancelled"

    play(tmp_path, story)


def test_a_step_whose_worker_died_is_tried_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", lambda readable, scratch: PoolThatLosesTasks(readable, scratch, 1))
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]
        assert len(town.pools["core"].ran) == 2

    play(tmp_path, story)


def test_a_budget_stops_the_release_and_says_so(tmp_path: Path) -> None:
    policy = Policy.model_validate({"default_class": "public", "budgets": {"job": {"rows": 10}}})

    async def story(town: Town) -> None:
        await town.open("core", policy=policy)
        view = await town.ended(await town.submit("SELECT id FROM transactions.payments"))
        assert view["state"] == "failed"
        assert view["problem"]["code"] == "egress_budget_exceeded"
        assert "1000 rows" in view["problem"]["detail"]
        assert [record.decision for record in town.egress("core")] == ["refused"]
        assert list((tmp_path / "sites" / "core" / "scratch" / "outputs").iterdir()) == []

    play(tmp_path, story)


def test_a_result_outlives_its_agent(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        job = (await town.run("SELECT count(*) AS n FROM transactions.payments"))["id"]
        await town.close("core")
        await town.open("core")
        answer = await town.result(job)
        assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]

    play(tmp_path, story)


def test_an_agent_that_comes_back_takes_its_job_up_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", PoolThatHangs)
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        pool = town.pools["core"]
        assert isinstance(pool, PoolThatHangs)
        await pool.hangs.wait()
        await town.close("core")
        await town.open("core")
        assert (await town.ended(job))["state"] == "succeeded"

    play(tmp_path, story)


def test_a_job_survives_the_control_plane_s_restart(tmp_path: Path) -> None:
    write(tmp_path, "transactions/payments/1.parquet", "SELECT range id FROM range(1000)")
    home = tmp_path / "control"
    home.mkdir()

    async def main() -> None:
        async with line() as wire:
            async with control_house(home, compiler=OneAtATime()) as first:
                wire.behind = first.url
                town = Town(tmp_path, first, await first.admin())
                await town.open("core", PoolThatHangs, control_url=wire.url)
                job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
                pool = town.pools["core"]
                assert isinstance(pool, PoolThatHangs)
                await pool.hangs.wait()
            wire.behind = None
            pool.let_go.set()
            async with control_house(home, compiler=OneAtATime()) as second:
                wire.behind = second.url
                town.admin = await second.admin()
                assert (await town.ended(job))["state"] == "succeeded"
                answer = await town.result(job)
                assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]
                assert len(pool.ran) == 1
                await town.close("core")

    asyncio.run(main())


def test_a_corrupt_dataset_is_refused_by_name_and_the_other_answers(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        (tmp_path / "transactions" / "broken").mkdir()
        (tmp_path / "transactions" / "broken" / "x.parquet").write_bytes(b"PAR1")
        await town.open("core")
        answer = await town.admin.post("/v1/jobs/explain", json={"sql": "SELECT * FROM transactions.broken"})
        assert answer.json()["code"] == "dataset_unreadable"
        assert "broken/x.parquet" in answer.json()["detail"]
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]

    play(tmp_path, story)


@pytest.mark.parametrize("sql", ["SELECT 42 AS n", "SELECT count(*) AS n FROM range(42)"])
def test_a_statement_without_datasets_runs_anywhere(tmp_path: Path, sql: str) -> None:
    async def story(town: Town) -> None:
        await town.open("users")
        assert await town.rows(sql) == [{"n": 42}]

    play(tmp_path, story)
