"""Agents of two sites under a real control plane, over real TLS; only their pools run inside the test's process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from datacanal.configuration import LimitsSection
from datacanal.control.catalogue import Known
from datacanal.control.compiling import StatementCompiler
from datacanal.control.planner import Question
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.protocol.plan import Plan
from datacanal.serving.runner import bind
from datacanal.site.agent import Agent
from datacanal.site.assembly import SiteSetup, running_site
from datacanal.site.engine.specification import PoolShape
from datacanal.site.identity import load_identity
from datacanal.site.joining import PublicDoor, Tokens
from datacanal.site.lakes.product_shelf import ProductShelf, policy_of
from datacanal.site.lakes.registry import Lake
from datacanal.site.peers import pin
from datacanal.site.places import Places
from datacanal.site.policy import Policy, load_policy
from datacanal.site.record.entry import Entry
from datacanal.site.record.reading import Wanted, read_entries
from datacanal.testing.control_house import ControlHouse, control_house
from datacanal.testing.fake_pool import FakePool, PoolThatHangs
from datacanal.testing.tasks import write_parquet

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
        self.pools: dict[str, FakePool] = {}

    async def open(
        self,
        site: str,
        pool: Callable[[PoolShape], FakePool] = FakePool,
        policy: Policy | Path = PUBLIC,
        control_url: str | None = None,
        exchange_url: str | None = None,
        products: Path | None = None,
    ) -> None:
        """Start the site's agent; returns when its datasets are in the catalogue. `products`: it has that store too."""
        lake = self.folder / LAKES[site]
        beside = () if products is None else (Lake("products", products, policy_of(()), shelf=ProductShelf()),)
        self._introduce()
        places = Places(self.folder / "sites" / site)
        self.pools[site] = pool(_shape([lake, *(each.root for each in beside)], places.scratch))
        setup = SiteSetup(
            name=site,
            control=PublicDoor(control_url or self.control.url),
            lakes=(_lake(LAKES[site], lake, policy), *beside),
            places=places,
            tokens=Tokens(self.control.site_home(site), ""),
            pool=self.pools[site],
            python=None,
            limits=LimitsSection(),
            exchange_url=exchange_url,
        )
        stack = AsyncExitStack()
        agent: Agent = await stack.enter_async_context(running_site(setup, bind("127.0.0.1:0", key="exchange")))
        self._agents[site] = (asyncio.create_task(agent.run()), stack)
        await agent.reported.wait()

    def _introduce(self) -> None:
        """Let the sites pin each other, as `up` does."""
        homes = {site: self.folder / "sites" / site for site in LAKES}
        for site, home in homes.items():
            certificate = load_identity(home, site, os.urandom).certificate
            for other in homes.keys() - {site}:
                pin(homes[other], certificate)

    async def open_hanging(self, site: str, control_url: str | None = None) -> PoolThatHangs:
        """Start the site's agent on a pool that runs nothing until it is let go."""
        await self.open(site, PoolThatHangs, control_url=control_url)
        pool = self.pools[site]
        assert isinstance(pool, PoolThatHangs)
        return pool

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

    def egress(self, site: str) -> list[Entry]:
        """What the site decided about jobs, in its order, without how often it then served what it had released."""
        found = read_entries(self.folder / "sites" / site / "site.db", Wanted())
        entries = [recorded.entry for recorded in reversed(found)]
        return [entry for entry in entries if entry.job and entry.decision != "served"]


def _lake(name: str, root: Path, policy: Policy | Path) -> Lake:
    """A policy in a file is looked at again."""
    if isinstance(policy, Policy):
        return Lake(name, root, policy)
    return Lake(name, root, load_policy(policy), policy)


def _shape(lakes: Sequence[Path], scratch: Path) -> PoolShape:
    readable = [str(lake) for lake in lakes]
    return PoolShape(workers=3, threads=1, memory_bytes=2**30, readable=readable, scratch=str(scratch))


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
        finally:
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
    carried: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried.add(asyncio.create_task(ends[0].carry(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    ends.append(Line(server))
    try:
        yield ends[0]
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


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


def play(folder: Path, story: Callable[[Town], Coroutine[Any, Any, None]]) -> None:
    """Two lakes, a control plane, and what the test does with them."""
    write_parquet(
        folder / "transactions/payments/1.parquet",
        "SELECT range id, range % 10 person, range * 1.5 amount FROM range(1000)",
    )
    write_parquet(folder / "people/persons/1.parquet", "SELECT range person, 'p' || range AS name FROM range(10)")

    async def main() -> None:
        async with town(folder) as built:
            await story(built)

    asyncio.run(main())
