"""The launcher as an agent meets it: over its socket, with an engine that has no containers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.unit.site.launcher.ground import BOOT, IMAGE, Ground, specification

from datacanal.domain.errors import AlreadyRunning, BadConfiguration, DatacanalError, LauncherUnreachable
from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.doors import open_door
from datacanal.site.launcher.service import run_launcher, serve_site
from datacanal.site.launcher.settings import socket_of
from datacanal.site.launcher.specification import PoolNetwork
from datacanal.testing.engine_fake import EngineThatIsAway, FakeEngine

NETWORK = PoolNetwork(pool="p1", boot=BOOT)
LOOK_S = 0.01


class House:
    """A launcher that serves the site `core`."""

    def __init__(self, ground: Ground, engine: FakeEngine) -> None:
        self.ground = ground
        self.engine = engine
        self.socket = socket_of(ground.settings.home, "core")
        self.client = LauncherClient(self.socket)

    def id_of(self, name: str) -> str:
        (found,) = self.engine.containers({"datacanal.name": name})
        return found.id

    async def code_of(self, asked: Awaitable[object]) -> str:
        with pytest.raises(DatacanalError) as refusal:
            await asked
        return refusal.value.code

    async def raw(self, method: str, path: str, body: str = "") -> httpx.Response:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport) as http:
            headers = {"Content-Type": "application/json"}
            return await http.request(method, f"http://launcher/v1/{path}", content=body, headers=headers)


@asynccontextmanager
async def launched(ground: Ground, kind: type[FakeEngine] = FakeEngine) -> AsyncIterator[House]:
    engine = kind(lambda: datetime.now(UTC), {"datacanal-worker:latest": IMAGE})
    house = House(ground, engine)
    boots = Boots(ground.settings.home / "boots.json")
    serving = asyncio.create_task(serve_site(ground.core, ground.settings, engine, boots))
    while not house.socket.exists():  # noqa: ASYNC110  # nobody tells when the socket is there
        await asyncio.sleep(LOOK_S)
    try:
        async with house.client:
            yield house
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


def play(tmp_path: Path, scene: Callable[[House], Awaitable[None]], kind: type[FakeEngine] = FakeEngine) -> None:
    async def run() -> None:
        async with launched(Ground(tmp_path), kind) as house:
            await scene(house)

    asyncio.run(run())


def test_a_life_from_hello_to_the_end(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        client = house.client
        await client.hello(BOOT)
        await client.ensure_network(NETWORK)
        started = await client.start(specification())
        assert (started.name, started.role, started.pool, started.running) == ("worker-1", "worker", "p1", True)
        assert await client.start(specification()) == started
        assert await client.states() == [started]
        assert (await client.logs("worker-1")).endswith("said this")
        await client.remove("worker-1")
        await client.remove_network("p1")
        assert await client.states() == []
        assert house.engine.networks({}) == []

    play(tmp_path, scene)


def test_waiting_ends_when_the_container_does(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.client.hello(BOOT)
        await house.client.ensure_network(NETWORK)
        await house.client.start(specification())
        assert (await house.client.wait("worker-1", 0)).running
        waiting = asyncio.create_task(house.client.wait("worker-1"))
        await house.client.states()
        house.engine.end(house.id_of("worker-1"), 137)
        state = await waiting
        assert (state.running, state.exit_code) == (False, 137)

    play(tmp_path, scene)


def test_waiting_ends_when_the_container_is_removed_or_another_has_its_name(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.client.hello(BOOT)
        await house.client.ensure_network(NETWORK)
        await house.client.start(specification())
        waiting = asyncio.create_task(house.client.wait("worker-1"))
        await house.client.states()
        await house.client.remove("worker-1")
        assert await house.code_of(waiting) == "not_found"
        assert await house.code_of(house.client.wait("worker-1")) == "not_found"

    play(tmp_path, scene)


def test_refusals_arrive_with_their_codes(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        client = house.client
        assert await house.code_of(client.start(specification())) == "boot_superseded"
        await client.hello(BOOT)
        assert await house.code_of(client.start(specification())) == "not_found"
        await client.ensure_network(NETWORK)
        assert await house.code_of(client.start(specification(image=IMAGE))) == "container_refused"
        assert await house.code_of(client.start(specification(lakes=("users",)))) == "not_found"
        await client.start(specification())
        assert await house.code_of(client.start(specification(cpus=2))) == "container_differs"
        house.engine.images.clear()
        assert await house.code_of(client.start(specification(name="worker-2"))) == "image_not_found"

    play(tmp_path, scene)


def test_bodies_and_addresses_are_checked_before_anything_happens(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.client.hello(BOOT)
        body = specification().model_dump_json()
        found = [
            await house.raw("PUT", "containers/worker-2", body),
            await house.raw("PUT", "containers/Worker", body),
            await house.raw("PUT", "containers/worker-1", body.replace('"role"', '"privileged":true,"role"')),
            await house.raw("PUT", "containers/worker-1", body + " " * 20_000),
            await house.raw("PUT", "networks/p2", NETWORK.model_dump_json()),
            await house.raw("POST", "hello", "{"),
            await house.raw("POST", "containers/worker-1/wait?timeout=61"),
            await house.raw("GET", "containers/..%2f..%2fetc/logs"),
        ]
        assert [answer.status_code for answer in found] == [400, 400, 400, 413, 400, 400, 400, 404]
        assert all(answer.json()["code"] for answer in found)
        assert house.engine.containers({}) == []

    play(tmp_path, scene)


def test_an_engine_that_is_away_is_told_and_the_launcher_stays(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        for _ in range(2):
            assert await house.code_of(house.client.states()) == "container_engine_unreachable"

    play(tmp_path, scene, EngineThatIsAway)


def test_without_a_launcher_the_agent_is_told_which_socket(tmp_path: Path) -> None:
    async def ask() -> None:
        async with LauncherClient(tmp_path / "core.sock") as client:
            await client.states()

    with pytest.raises(LauncherUnreachable, match=r"core\.sock") as failure:
        asyncio.run(ask())
    assert "datacanal serve launcher" in failure.value.remedy


def test_an_answer_that_is_not_the_launchers_is_not_believed(tmp_path: Path) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"{}" if answered else b"oh no"
        status = b"200 OK" if answered else b"500 Broken"
        answered.append(status)
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    async def ask() -> None:
        async with await asyncio.start_unix_server(answer, tmp_path / "s"), LauncherClient(tmp_path / "s") as client:
            with pytest.raises(LauncherUnreachable, match="without a problem document"):
                await client.states()
            with pytest.raises(LauncherUnreachable, match="another version"):
                await client.states()

    answered: list[bytes] = []
    asyncio.run(ask())


# ---------------------------------------------------------------- doors


def test_only_the_owner_of_the_sites_home_may_open_its_door(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "home", 1234, 1235)
    owner = (tmp_path / "home").stat()
    for _ in range(2):  # the second finds what the first left
        open_door(tmp_path / "core.sock", tmp_path / "home").close()
        found = (tmp_path / "core.sock").stat()
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)


def test_a_home_whose_path_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ("a" * 120)
    home.mkdir()
    with pytest.raises(BadConfiguration, match="too long"):
        open_door(home / "core.sock", home)


def test_a_site_is_served_as_soon_as_its_home_is_there(tmp_path: Path) -> None:
    async def run() -> None:
        ground = Ground(tmp_path)
        home = ground.core.home.path
        home.rename(home.with_name("later"))
        opening = launched(ground)
        entering = asyncio.create_task(opening.__aenter__())
        await asyncio.sleep(LOOK_S)
        assert not entering.done()
        home.with_name("later").rename(home)
        house = await entering
        await house.client.hello(BOOT)
        await opening.__aexit__(None, None, None)

    asyncio.run(run())


def test_one_launcher_serves_a_home(tmp_path: Path) -> None:
    settings = replace(Ground(tmp_path).settings, sites=())
    with (settings.home / "launcher.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning):
            run_launcher(settings)
