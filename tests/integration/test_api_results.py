"""Results on their way through the control plane: whole, resumed, refused, or visibly broken."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from datacanal.domain.errors import DatacanalError, OutputLost
from datacanal.protocol.site import UploadCommand
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.control_house import ControlHouse, control_house

EXPORT = bytes(range(256)) * 4096
TAG = f'"{hashlib.sha256(EXPORT).hexdigest()}"'


@dataclass
class Finished:
    """A house with a succeeded job."""

    house: ControlHouse
    admin: httpx.AsyncClient
    core: ScriptedAgent
    job: str

    @property
    def path(self) -> str:
        return f"/v1/jobs/{self.job}/result"

    async def command(self) -> UploadCommand:
        """The next upload that the agent is asked for."""
        while True:
            for command in (await self.core.poll(free=0)).commands:
                if isinstance(command, UploadCommand):
                    return command


def play(home: Path, scene: Callable[[Finished], Awaitable[None]]) -> None:
    async def run() -> None:
        async with control_house(home) as house:
            admin, core = await house.admin(), await house.agent("core")
            job = (await admin.post("/v1/jobs", json={"sql": "at core"})).json()["id"]
            await core.run(await core.lease())
            await scene(Finished(house, admin, core, job))

    asyncio.run(run())


def test_a_result_arrives_whole_with_its_length_and_digest(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path, params={"format": "parquet"}))
        command = await at.command()
        assert (command.format, command.offset, command.job) == ("parquet", 0, at.job)
        await at.core.upload(command, EXPORT)
        answer = await fetching
        assert answer.content == EXPORT
        assert answer.headers["ETag"] == TAG
        assert answer.headers["Content-Length"] == str(len(EXPORT))
        assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"

    play(tmp_path, scene)


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        headers = {"Range": "bytes=1000-", "If-Range": TAG}
        fetching = asyncio.create_task(at.admin.get(at.path, headers=headers))
        command = await at.command()
        assert command.offset == 1000
        await at.core.upload(command, EXPORT)
        answer = await fetching
        assert (answer.status_code, answer.content) == (206, EXPORT[1000:])
        assert answer.headers["Content-Range"] == f"bytes 1000-{len(EXPORT) - 1}/{len(EXPORT)}"

    play(tmp_path, scene)


def test_a_result_that_is_another_one_now_is_sent_whole(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        headers = {"Range": "bytes=1000-", "If-Range": '"something else"'}
        fetching = asyncio.create_task(at.admin.get(at.path, headers=headers))
        first = asyncio.create_task(at.core.upload(await at.command(), EXPORT))
        await at.core.upload(await at.command(), EXPORT)
        answer = await fetching
        assert (answer.status_code, answer.content) == (200, EXPORT)
        await asyncio.gather(first, return_exceptions=True)

    play(tmp_path, scene)


def test_a_range_behind_the_end_is_refused(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path, headers={"Range": f"bytes={len(EXPORT)}-"}))
        uploading = asyncio.create_task(at.core.upload(await at.command(), EXPORT))
        assert (await fetching).json()["code"] == "range_not_satisfiable"
        await asyncio.gather(uploading, return_exceptions=True)

    play(tmp_path, scene)


def test_an_empty_result_is_complete(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path, params={"format": "csv"}))
        await at.core.upload(await at.command(), b"")
        assert ((await fetching).status_code, (await fetching).content) == (200, b"")

    play(tmp_path, scene)


def test_the_agents_refusal_is_the_answer(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path))
        await at.core.refuse(await at.command(), OutputLost(step="result", site="core"))
        assert ((await fetching).status_code, (await fetching).json()["code"]) == (410, "output_lost")

    play(tmp_path, scene)


class AgentThatBreaksOff(Exception):
    """Raised inside an upload's body: the connection dies in the middle."""


def test_a_broken_upload_breaks_the_answer_visibly(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield EXPORT[:100_000]
        raise AgentThatBreaksOff

    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path))
        with pytest.raises(AgentThatBreaksOff):
            await at.core.send(await at.command(), broken(), length=len(EXPORT), digest=TAG.strip('"'))
        with pytest.raises(httpx.RemoteProtocolError):
            await fetching

    play(tmp_path, scene)


@pytest.mark.parametrize("announced", [len(EXPORT) - 1, len(EXPORT) + 1])
def test_an_upload_of_another_length_than_announced_never_looks_complete(tmp_path: Path, announced: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield EXPORT

    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path))
        with pytest.raises((DatacanalError, httpx.TransportError)):
            await at.core.send(await at.command(), body(), length=announced, digest="d" * 64)
        with pytest.raises(httpx.RemoteProtocolError):
            await fetching

    play(tmp_path, scene)


async def send(at: Finished, body: AsyncIterator[bytes], length: int) -> None:
    await at.core.send(await at.command(), body, length=length, digest="d" * 64)


def test_a_client_that_leaves_ends_the_upload(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)
            await asyncio.sleep(0)

    async def scene(at: Finished) -> None:
        upload = asyncio.create_task(send(at, endless(), 2**50))
        async with at.admin.stream("GET", at.path) as answer:
            await anext(answer.aiter_bytes())
        with pytest.raises((DatacanalError, httpx.TransportError)):
            await upload

    play(tmp_path, scene)


def test_an_upload_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    async def scene(at: Finished) -> None:
        fetching = asyncio.create_task(at.admin.get(at.path))
        command = await at.command()
        users = await at.house.agent("users")
        for agent, upload in ((users, command), (at.core, command.model_copy(update={"upload": "upl_x"}))):
            with pytest.raises(DatacanalError, match="There is no upload"):
                await agent.upload(upload, EXPORT)
        await at.core.upload(command, EXPORT)
        assert (await fetching).content == EXPORT

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ({"format": "xlsx"}, {}, "bad_field"),
        ({}, {"Range": "bytes=5-10"}, "bad_field"),
        ({"formt": "csv"}, {}, "bad_field"),
        ({"format": "csv"}, {"Accept": "text/html"}, "not_acceptable"),
    ],
)
def test_a_request_that_makes_no_sense_says_so(
    tmp_path: Path, query: dict[str, str], headers: dict[str, str], code: str
) -> None:
    async def scene(at: Finished) -> None:
        assert (await at.admin.get(at.path, params=query, headers=headers)).json()["code"] == code

    play(tmp_path, scene)


def test_a_slow_client_slows_the_agent_down_instead_of_filling_memory(tmp_path: Path) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 2**20:
            sent += 2**20
            yield bytes(2**20)

    async def scene(at: Finished) -> None:
        upload = asyncio.create_task(send(at, body(), 64 * 2**20))
        async with at.admin.stream("GET", at.path) as answer:
            chunks = answer.aiter_bytes()
            received = len(await anext(chunks))
            for _ in range(2000):  # every chance for the agent to run ahead
                await asyncio.sleep(0)
            assert sent < 40 * 2**20
            async for chunk in chunks:
                received += len(chunk)
        await upload
        assert received == 64 * 2**20

    play(tmp_path, scene)
