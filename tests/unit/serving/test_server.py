"""The server: deadlines for heads and bodies, problems on the wire, sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from datacanal.domain.errors import BadConfiguration, PortInUse
from datacanal.serving import protocol
from datacanal.serving.bodies import read_body
from datacanal.serving.handlers import install_problem_handlers
from datacanal.serving.runner import HttpServer, address_of, bind


def application() -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await read_body(request, 1000, deadline_s=0.2))

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    return app


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    listening = bind("127.0.0.1:0", key="test")
    server = HttpServer(application(), listening)
    await server.start()
    try:
        yield address_of(listening)
    finally:
        await server.stop()


async def spoken(address: str, *parts: bytes) -> bytes:
    """What the server answers to these bytes, up to the end of the connection."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def test_a_head_that_never_ends_is_answered_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.1)

    async def scene() -> None:
        async with served() as address:
            answer = await spoken(address, b"GET /broken HTTP/1.1\r\nHost: x\r\n")
            assert answer.startswith(b"HTTP/1.1 408")
            assert b'"code":"body_too_slow"' in answer

    asyncio.run(scene())


def test_a_connection_that_says_nothing_is_closed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.1)

    async def scene() -> None:
        async with served() as address:
            assert await spoken(address) == b""

    asyncio.run(scene())


def test_a_head_without_measure_is_refused() -> None:
    async def scene() -> None:
        async with served() as address:
            filler = b"X-Filler: " + b"x" * 60_000 + b"\r\n"
            answer = await spoken(address, b"GET / HTTP/1.1\r\nHost: x\r\n", filler, filler, filler, filler)
            assert answer.startswith(b"HTTP/1.1 431")

    asyncio.run(scene())


def test_a_body_that_never_comes_is_answered_408_and_the_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REST_DEADLINE_S", 0.1)

    async def scene() -> None:
        async with served() as address:
            answer = await spoken(address, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            assert answer.startswith(b"HTTP/1.1 408")

    asyncio.run(scene())


def test_what_is_not_http_gets_a_problem_document() -> None:
    async def scene() -> None:
        async with served() as address:
            answer = await spoken(address, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400")
            assert b"application/problem+json" in answer

    asyncio.run(scene())


def test_a_failure_nobody_foresaw_is_a_problem_document_without_its_words() -> None:
    async def scene() -> None:
        async with served() as address, httpx.AsyncClient(base_url=f"http://{address}") as http:
            answer = await http.get("/broken")
            assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
            assert "ZeroDivision" not in answer.text
            too_large = await http.post("/echo", content=b"x" * 2000)
            assert (too_large.status_code, too_large.json()["code"]) == (413, "body_too_large")
            assert (await http.post("/echo", content=b"x" * 1000)).json() == 1000

    asyncio.run(scene())


def test_a_taken_port_is_named_with_its_key() -> None:
    taken = bind("127.0.0.1:0", key="first")
    with pytest.raises(PortInUse, match=r"control\.listen"):
        bind(address_of(taken), key="control.listen")
    taken.close()


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(BadConfiguration, match="cannot listen"):
        bind("192.0.2.1:8400", key="control.listen")
