"""Answers that take long, fail on the way, or that nobody waits for any more: over HTTP, with scripted productions."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.unit.gateway.test_choosing import NOW, product

from datacanal.domain.access import Principal
from datacanal.domain.errors import OutOfMemory
from datacanal.domain.usage import internal_terms
from datacanal.gateway.access import AccessRecord
from datacanal.gateway.asked import Asked
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.data import DataRoute
from datacanal.gateway.executions import MOST_WHOLE_BYTES, Executions
from datacanal.gateway.finding import Finder
from datacanal.gateway.pages import Pages
from datacanal.gateway.till import Till
from datacanal.ledger.meter import Meter
from datacanal.ledger.store import open_ledger
from datacanal.products.cursor import Cursors
from datacanal.products.requests import recent_queries
from datacanal.serving.runner import HttpServer, address_of, bind

PIECE = b"x" * 2**20
CALLER = Caller(Principal("default", "ann", "developer"))
TERMS = internal_terms("default", "ann", "pub.bars")
NDJSON = "application/x-ndjson"


@dataclass
class Scripted:
    """A production of these pieces; `begun`, `stopped` and `closed` tell what became of it."""

    script: Callable[[Scripted], Iterator[bytes]]
    begun: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    size_bytes: int | None = None
    times: int = 0

    def produce(self, _asked: Asked) -> Scripted:
        self.times += 1
        return self

    def pieces(self) -> Iterator[bytes]:
        self.begun.set()
        return self.script(self)

    def told(self) -> tuple[int, int, str | None]:
        return 1, 2, None

    def most_rows(self) -> int:
        return 1

    def interrupt(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed.set()


def short(_of: Scripted) -> Iterator[bytes]:
    yield b"all of it\n"


def after_a_word(of: Scripted) -> Iterator[bytes]:
    assert of.go_on.wait(30)
    yield b"all of it\n"


def until_stopped(of: Scripted) -> Iterator[bytes]:
    assert of.stopped.wait(30)
    yield b"too late"


def long(of: Scripted) -> Iterator[bytes]:
    for _ in range(2 * MOST_WHOLE_BYTES // len(PIECE)):
        yield PIECE


def long_and_failing(of: Scripted) -> Iterator[bytes]:
    for _ in range(MOST_WHOLE_BYTES // len(PIECE) + 1):
        yield PIECE
    raise OutOfMemory


def endless(of: Scripted) -> Iterator[bytes]:
    while not of.closed.is_set():
        yield PIECE


@asynccontextmanager
async def answering(home: Path, of: Scripted, *, timeout_s: float = 30.0) -> AsyncIterator[httpx.AsyncClient]:
    executions = Executions(of.produce, threads=1, timeout_s=timeout_s)
    access = AccessRecord(home)
    store = open_ledger(home)
    meter = Meter(store, "gtw_test", lambda: NOW)
    await meter.start()
    till = Till(meter, lambda prefix: f"{prefix}_{secrets.token_hex(8)}")
    route = DataRoute(Pages(executions, 2**26), Finder(Cursors(b"secret"), lambda: NOW), access, till)

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        await route.data(Call(scope, receive, send, secrets.token_hex(8)), product("snp_a"), CALLER, TERMS)  # type: ignore[arg-type]  # as ASGI has it

    server = HttpServer(app, listening := bind("127.0.0.1:0", key="listen"))  # type: ignore[arg-type]  # as above
    await server.start()
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{address_of(listening)}", timeout=30, headers={"Accept-Encoding": "identity"}
        ) as client:
            yield client
    finally:
        await server.stop()
        await meter.close()
        store.close()
        executions.close()
        access.close()


def test_twenty_callers_with_one_question_share_one_execution(tmp_path: Path) -> None:
    async def scene() -> None:
        of = Scripted(after_a_word)
        async with answering(tmp_path, of) as client:
            calls = [asyncio.create_task(client.get("/?limit=5")) for _ in range(20)]
            await asyncio.to_thread(of.begun.wait, 30)
            of.go_on.set()
            assert {(await call).content for call in calls} == {b"all of it\n"}
            assert of.times == 1
            assert (await client.get("/?limit=5")).content == b"all of it\n"
            assert of.times == 1

    asyncio.run(scene())


def test_work_stops_when_the_client_has_gone_and_goes_on_for_those_who_stay(tmp_path: Path) -> None:
    async def scene() -> None:
        of = Scripted(until_stopped)
        async with answering(tmp_path, of) as client:
            call = asyncio.create_task(client.get("/"))
            await asyncio.to_thread(of.begun.wait, 30)
            call.cancel()
            assert await asyncio.to_thread(of.stopped.wait, 30)

    asyncio.run(scene())


def test_a_query_beyond_its_deadline_is_interrupted_and_says_what_to_do(tmp_path: Path) -> None:
    async def scene() -> None:
        of = Scripted(until_stopped)
        async with answering(tmp_path, of, timeout_s=0.05) as client:
            answer = await client.get("/")
            assert (answer.status_code, answer.json()["code"]) == (422, "query_too_slow")
            assert await asyncio.to_thread(of.stopped.wait, 30)

    asyncio.run(scene())


def test_a_short_answer_has_its_length_and_a_long_one_its_last_chunk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with answering(tmp_path, Scripted(short)) as client:
            assert (await client.get("/")).headers["content-length"] == "10"
        async with answering(tmp_path, Scripted(long)) as client:
            answer = await client.get("/")
            assert answer.headers["transfer-encoding"] == "chunked"
            assert "datacanal-usage" not in answer.headers
            assert len(answer.content) == 2 * MOST_WHOLE_BYTES

    asyncio.run(scene())


async def take(client: httpx.AsyncClient, accept: str, received: bytearray) -> None:
    async with client.stream("GET", "/", headers={"Accept": accept}) as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_raw():
            received += piece


@pytest.mark.parametrize("accept", ["application/json", NDJSON, "application/vnd.apache.arrow.stream"])
def test_a_failure_after_the_head_breaks_the_connection(tmp_path: Path, accept: str) -> None:
    async def scene() -> None:
        received = bytearray()
        async with answering(tmp_path, Scripted(long_and_failing)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await take(client, accept, received)
        if accept == NDJSON:
            last = received.rpartition(PIECE)[2]
            assert json.loads(last)["error"]["code"] == "out_of_memory"

    asyncio.run(scene())


def test_a_long_answer_is_produced_no_faster_than_it_is_taken_and_ends_with_its_client(tmp_path: Path) -> None:
    async def scene() -> None:
        of = Scripted(endless)
        async with answering(tmp_path, of) as client:
            async with client.stream("GET", "/") as answer:
                assert answer.status_code == 200
                # Its thread is free while nobody takes anything: another question is answered.
                async with client.stream("GET", "/?limit=7") as other:
                    assert other.status_code == 200
            assert await asyncio.to_thread(of.closed.wait, 30)

    asyncio.run(scene())


def test_every_call_is_taken_down_and_the_replay_finds_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with answering(tmp_path, Scripted(short)) as client:
            for query in ("/?limit=5", "/?k.gte=7&limit=6", "/?limit=5", "/?wrong=1", "/?limit=07"):
                await client.get(query)

    asyncio.run(scene())
    assert recent_queries(tmp_path, "pub.bars", 10) == ["limit=7", "limit=5", "k.gte=7&limit=6"]
    assert recent_queries(tmp_path, "pub.bars", 1) == ["limit=7"]
    assert recent_queries(tmp_path, "pub.other", 10) == []
    [file] = (tmp_path / "gateway" / "access").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 400, 200]
    assert [line["etag_hit"] for line in lines] == [False, False, True, False, False]
    assert {line["principal"] for line in lines} == {"ann"}


def test_a_line_that_a_crash_cut_short_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "gateway" / "access"
    folder.mkdir(parents=True)
    entry = {"product": "pub.bars", "status": 200}
    lines = [json.dumps({**entry, "query": f"limit={number}"}) for number in range(1, 20_000)]
    (folder / "a.ndjson").write_text("\n".join(lines) + '\n{"product": "pub.b')
    found = recent_queries(tmp_path, "pub.bars", 15_000)
    assert (found[0], found[-1], len(found)) == ("limit=19999", "limit=5000", 15_000)
