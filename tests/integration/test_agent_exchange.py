"""Exchange and fetcher over real loopback HTTP, and over links that break in every way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from datacanal.domain.errors import (
    DatacanalError,
    OutOfDisk,
    OutputLost,
    SiteUnreachable,
    TransferDamaged,
    TransferRefused,
)
from datacanal.protocol.site import Offer
from datacanal.serving.runner import HttpServer, address_of, bind
from datacanal.site.exchange import create_exchange
from datacanal.site.fetcher import Arrival, Fetcher
from datacanal.site.keys import SiteKeys, load_keys
from datacanal.site.record.entry import Entry
from datacanal.site.store.database import open_database
from datacanal.site.store.fences import NonceBook
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import NONCE_EXPIRY_S, Ticket, mint

NOW_S = 1_900_000_000.0
CONTENT = bytes(range(256)) * 8192
SEAL = b"s" * 32


def row(file: Path, content: bytes) -> OutputRow:
    return OutputRow(id="out_1", job="j", step="s1", path=str(file), digest=hashlib.sha256(content).hexdigest())


@asynccontextmanager
async def exchange(file: Path, content: bytes = CONTENT, refused: list[Entry] | None = None) -> AsyncIterator[str]:
    rows = {"out_1": row(file, content)}
    told: list[Entry] = [] if refused is None else refused
    engine = open_database(file.parent / "site.db")
    nonces = NonceBook(engine, NONCE_EXPIRY_S)
    listening = bind("127.0.0.1:0", key="exchange")
    given = create_exchange("core", SEAL, rows.get, lambda: NOW_S, nonces.use, told.append)
    server = HttpServer(given, listening)
    await server.start()
    try:
        yield f"http://{address_of(listening)}"
    finally:
        await server.stop()
        engine.dispose()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def link(target: str, *spoil: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """A wire to the exchange whose first connections each spoil the answer: None cuts it before the first byte."""
    host, port = target.removeprefix("http://").split(":")
    faults = list(spoil)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = faults.pop(0) if faults else (lambda answer: answer)
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        request = await reader.readuntil(b"\r\n\r\n")
        upstream.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = fault(await upstream_reader.read(-1))
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        for stream in (writer, upstream):
            stream.close()
            await stream.wait_closed()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        await server.wait_closed()


def offer(base: str, consumer: SiteKeys, content: bytes = CONTENT) -> Offer:
    digest = hashlib.sha256(content).hexdigest()
    ticket = Ticket(
        job="j",
        step="s1",
        fence=1,
        output="out_1",
        digest=digest,
        consumer="west",
        key=consumer.public,
        expires_s=int(NOW_S) + 60,
    )
    return Offer(
        output="out_1",
        step="s1",
        site="core",
        url=f"{base}/v1/transfers/out_1",
        ticket=mint(ticket, SEAL),
        rows=1,
        bytes=len(content),
        digest=digest,
        columns=[],
    )


class Receiver:
    """The receiving site, with its file and its count."""

    def __init__(self, folder: Path, deadline_s: float = 10) -> None:
        self.keys = load_keys(folder / "keys", lambda length: b"k" * length)
        self.file = folder / "in.arrow"
        self.arrival = Arrival()
        self._deadline_s = deadline_s

    async def fetch(self, given: Offer) -> bytes:
        async with httpx.AsyncClient() as client:
            fetcher = Fetcher(client, self.keys, lambda: NOW_S, deadline_s=self._deadline_s)
            await fetcher.fetch(given, self.file, self.arrival)
        return self.file.read_bytes()


def run(receiver: Receiver, tmp_path: Path, *spoil: Callable[[bytes], bytes | None]) -> bytes:
    file = tmp_path / "out.arrow"
    file.write_bytes(CONTENT)

    async def main() -> bytes:
        async with exchange(file) as direct, link(direct, *spoil) as base:
            return await receiver.fetch(offer(base, receiver.keys))

    return asyncio.run(main())


def test_an_output_arrives_whole_and_every_byte_is_counted(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    assert run(receiver, tmp_path) == CONTENT
    assert receiver.arrival.bytes == len(CONTENT)


def test_a_cut_transfer_resumes_where_it_broke_off(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    assert run(receiver, tmp_path, lambda answer: answer[:-500_000], lambda answer: answer[:-1000]) == CONTENT
    assert receiver.arrival.bytes == len(CONTENT)


def test_a_flipped_bit_is_noticed_and_fetched_again_and_counted_twice(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    assert run(receiver, tmp_path, lambda answer: answer[:-10] + b"\x00" * 10) == CONTENT
    assert receiver.arrival.bytes == 2 * len(CONTENT)


def test_busy_and_dead_links_are_tried_again(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    assert run(receiver, tmp_path, lambda _: None, lambda _: busy, lambda _: b"garbage") == CONTENT


def test_a_link_that_forgets_ranges_starts_over(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    whole = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT
    assert run(receiver, tmp_path, lambda answer: answer[:-1000], lambda _: whole) == CONTENT


def test_content_that_stays_damaged_is_given_up(tmp_path: Path) -> None:
    def flip(answer: bytes) -> bytes:
        return answer[:-1] + b"\x00"

    receiver = Receiver(tmp_path)
    with pytest.raises(TransferDamaged, match="digest"):
        run(receiver, tmp_path, *[flip] * 9)
    assert receiver.arrival.bytes == 3 * len(CONTENT)


def test_more_bytes_than_offered_are_not_stored(tmp_path: Path) -> None:
    def longer(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT + b"more"

    with pytest.raises(TransferDamaged, match="more than"):
        run(Receiver(tmp_path), tmp_path, *[longer] * 9)


def test_a_site_that_does_not_answer_is_unreachable_after_the_deadline(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, deadline_s=0.3)
    listening = bind("127.0.0.1:0", key="exchange")
    nobody = f"http://{address_of(listening)}"
    listening.close()
    with pytest.raises(SiteUnreachable, match="'core'"):
        asyncio.run(receiver.fetch(offer(nobody, receiver.keys)))


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    file = tmp_path / "out.arrow"
    file.write_bytes(CONTENT)
    receiver = Receiver(tmp_path)
    receiver.file = Path("/dev/full")

    async def main() -> None:
        async with exchange(file) as base:
            await receiver.fetch(offer(base, receiver.keys))

    with pytest.raises(OutOfDisk):
        asyncio.run(main())


def attempt(tmp_path: Path, change: Callable[[Offer, SiteKeys], Offer], *, keep: bool = True) -> DatacanalError:
    file = tmp_path / "out.arrow"
    if keep:
        file.write_bytes(CONTENT)
    receiver = Receiver(tmp_path)

    async def main() -> None:
        async with exchange(file) as base:
            await receiver.fetch(change(offer(base, receiver.keys), receiver.keys))

    with pytest.raises(DatacanalError) as caught:
        asyncio.run(main())
    return caught.value


def test_a_ticket_of_somebody_else_is_refused_at_once(tmp_path: Path) -> None:
    thief = load_keys(tmp_path / "other", lambda length: b"o" * length)
    error = attempt(tmp_path, lambda given, _: given.model_copy(update={"ticket": offer("", thief).ticket}))
    assert error.code == TransferRefused.code
    assert "not signed" in error.detail


def test_an_unknown_output_is_refused_because_the_ticket_is_for_another(tmp_path: Path) -> None:
    error = attempt(tmp_path, lambda given, _: given.model_copy(update={"url": given.url + "x", "output": "out_1x"}))
    assert error.code == TransferRefused.code


def test_an_output_that_is_gone_is_said_to_be_lost(tmp_path: Path) -> None:
    error = attempt(tmp_path, lambda given, _: given, keep=False)
    assert error.code == OutputLost.code


def test_what_is_no_exchange_is_refused(tmp_path: Path) -> None:
    error = attempt(tmp_path, lambda given, _: given.model_copy(update={"url": given.url.replace("/v1/", "/v2/")}))
    assert error.code == TransferRefused.code


def test_a_seen_request_cannot_be_replayed_and_the_try_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "out.arrow"
    file.write_bytes(CONTENT)
    receiver = Receiver(tmp_path)
    refused: list[Entry] = []

    async def main() -> list[int]:
        async with exchange(file, refused=refused) as base, httpx.AsyncClient() as client:
            given = offer(base, receiver.keys)
            headers = Fetcher(client, receiver.keys, lambda: NOW_S)._headers(given, 0)
            answers = [await client.get(given.url, headers=headers) for _ in range(2)]
            return [answer.status_code for answer in answers]

    assert asyncio.run(main()) == [200, 403]
    assert [(entry.job, entry.step, entry.decision) for entry in refused] == [("j", "s1", "refused")]


def test_files_with_other_content_than_the_ticket_s_are_not_served(tmp_path: Path) -> None:
    file = tmp_path / "out.arrow"
    file.write_bytes(CONTENT)
    receiver = Receiver(tmp_path)

    async def main() -> None:
        async with exchange(file, b"something else") as base:
            await receiver.fetch(offer(base, receiver.keys))

    with pytest.raises(DatacanalError) as caught:
        asyncio.run(main())
    assert caught.value.code == OutputLost.code
