"""Posting to receivers that are hostile, slow or broken: where it connects to, and what it says of them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.integration.receivers import NAME, Receiver, Town

from datacanal.gateway.posting import MAX_HEAD_BYTES, NotSent, Poster, resolved
from datacanal.gateway.webhook_addresses import is_public

FIELDS = {"Content-Type": "application/json"}


def played(folder: Path, story: Callable[[Town], Awaitable[None]]) -> None:
    asyncio.run(story(Town(folder)))


async def refused(poster: Poster, url: str) -> str:
    with pytest.raises(NotSent) as problem:
        await poster.post(url, FIELDS, b"{}")
    return str(problem.value)


def test_a_receiver_gets_the_body_at_the_path_with_its_own_name(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with town.open(Receiver()) as receiver:
            assert await town.poster().post(f"{receiver.url}?a=b", FIELDS, b'{"x": 1}') == 204
            (got,) = receiver.received
            assert (got.head, got.body) == ("POST /hook?a=b HTTP/1.1", b'{"x": 1}')
            assert (got.headers["host"], got.headers["content-type"]) == (f"{NAME}:{receiver.port}", "application/json")
            assert town.asked == [NAME]

    played(tmp_path, story)


@pytest.mark.parametrize("second", [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["::1", "127.0.0.1"]])
def test_a_name_that_leads_elsewhere_the_second_time_is_not_connected_to(tmp_path: Path, second: list[str]) -> None:
    async def story(town: Town) -> None:
        town.resolutions = [["127.0.0.1"], second]
        async with town.open(Receiver()) as receiver:
            poster = town.poster()
            assert await poster.post(receiver.url, FIELDS, b"{}") == 204
            words = await refused(poster, receiver.url)
            assert re.search(r"leads to \S+, which is not a public address", words)
            assert receiver.connections == 1

    played(tmp_path, story)


@pytest.mark.parametrize(
    "place", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::ffff:8.8.8.8", "64:ff9b::1", "fe80::1%lo"]
)
def test_by_default_only_the_public_internet_is_connected_to(tmp_path: Path, place: str) -> None:
    async def story(town: Town) -> None:
        town.resolutions = [[place]]
        async with town.open(Receiver()) as receiver:
            assert "which is not a public address" in await refused(town.poster(is_public), receiver.url)
            assert receiver.connections == 0

    played(tmp_path, story)


def test_an_address_that_got_into_the_book_unchecked_is_refused_here_too(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        assert "not https" in await refused(town.poster(), "http://hooks.example/")
        assert "not a public address" in await refused(town.poster(), "https://127.0.0.1/")
        assert town.asked == []

    played(tmp_path, story)


def test_a_redirect_is_an_answer_and_is_not_followed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with town.open(Receiver()) as elsewhere:
            to = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere.url}\r\n\r\n".encode()
            async with town.open(Receiver([to])) as receiver:
                assert await town.poster().post(receiver.url, FIELDS, b"{}") == 307
            assert elsewhere.connections == 0

    played(tmp_path, story)


def test_a_proxy_of_the_environment_is_not_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(town: Town) -> None:
        async with town.open(Receiver()) as receiver, town.open(Receiver()) as proxy:
            for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            assert await town.poster().post(receiver.url, FIELDS, b"{}") == 204
            assert proxy.connections == 0

    played(tmp_path, story)


def test_the_certificate_must_be_for_the_name_whatever_the_address_is(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async with town.open(Receiver()) as receiver:
            url = f"https://other.example:{receiver.port}/"
            assert "its certificate does not hold: Hostname mismatch" in await refused(town.poster(), url)
            stranger = Poster(town.resolve, lambda _: True, ssl.create_default_context())
            assert "its certificate does not hold: self" in await refused(stranger, receiver.url)
            assert receiver.received == []

    played(tmp_path, story)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "has no whole head"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "has no whole head"),
        (HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", "has no whole head"),
        (HEAD + b"X: y\r\n" * 20_000 + b"\r\n", "has no whole head"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/2 200\r\n\r\n", "is not HTTP/1.1"),
        (b"\x00\xff\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000, "announced itself"),
    ],
)
def test_a_broken_answer_is_told_from_a_whole_one(tmp_path: Path, answer: bytes, words: str) -> None:
    async def story(town: Town) -> None:
        async with town.open(Receiver([answer])) as receiver:
            assert words in await refused(town.poster(), receiver.url)

    played(tmp_path, story)


def test_a_huge_body_is_not_read(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        ended = asyncio.Event()

        async def pours(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + b"\r\n")
            try:
                while True:
                    writer.write(b"x" * 65_536)
                    await writer.drain()
            finally:
                ended.set()

        async with town.listening(pours) as port:
            assert await town.poster().post(f"https://{NAME}:{port}/", FIELDS, b"{}") == 200
            async with asyncio.timeout(20):
                await ended.wait()

    played(tmp_path, story)


def test_what_comes_before_the_status_is_passed_over(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        answer = (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n"
        )
        async with town.open(Receiver([answer])) as receiver:
            assert await town.poster().post(receiver.url, FIELDS, b"{}") == 202

    played(tmp_path, story)


async def _says_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("slow", "tls"), [(_says_nothing, True), (_says_nothing, False), (_drips, True)])
def test_a_slow_receiver_is_left_when_the_time_is_over(
    tmp_path: Path, slow: Callable[..., Awaitable[None]], tls: bool
) -> None:
    async def story(town: Town) -> None:
        async with town.listening(slow, tls=tls) as port:
            words = await refused(town.poster(timeout_s=0.3), f"https://{NAME}:{port}/")
            assert words == "no answer came within 0.3 s"

    played(tmp_path, story)


def test_a_resolver_that_hangs_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        async def never(_host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

        assert await refused(Poster(never, timeout_s=0.1), "https://hooks.example/") == "no answer came within 0.1 s"

    played(tmp_path, story)


def test_the_next_address_is_tried_where_nobody_listens_at_the_first(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        town.resolutions = [["127.0.0.2", "127.0.0.1"]]
        async with town.open(Receiver()) as receiver:
            assert await town.poster(lambda _: True).post(receiver.url, FIELDS, b"{}") == 204
            receiver.port = _closed_port()
            assert "refused" in (await refused(town.poster(lambda _: True), receiver.url)).lower()

    played(tmp_path, story)


def test_the_system_resolver_says_each_address_once_or_fails() -> None:
    async def look() -> None:
        assert await resolved("127.0.0.1", 443) == ["127.0.0.1"]
        for name in ("no-such-name.invalid", f"{'a' * 64}.example"):
            assert await refused(Poster(lambda _, port, name=name: resolved(name, port)), "https://hooks.example/")

    asyncio.run(look())


def _closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
