"""Two sites that pinned each other, an output that `core` made for `west`, and the ways between them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from datacanal.domain.errors import ServiceUnreachable
from datacanal.protocol.site import Offer
from datacanal.serving.runner import HttpServer, address_of, bind
from datacanal.serving.tls import mutual_server, pinned_client
from datacanal.site.exchange import Handout, create_exchange
from datacanal.site.fetcher import Arrival, Fetcher, Relay
from datacanal.site.identity import load_identity
from datacanal.site.peer_links import PeerLinks
from datacanal.site.peers import Peers, pin
from datacanal.site.record.entry import Entry
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import Ticket, mint

NOW_S = 1_900_000_000.0
CONTENT = bytes(range(256)) * 8192

Spoil = Callable[[bytes], bytes | None]


class Party:
    """A site with a home, a key and pins."""

    def __init__(self, folder: Path, name: str, seed: str = ".") -> None:
        self.home = folder / name
        self.identity = load_identity(self.home, name, lambda length: name.encode().ljust(length, seed.encode()))
        self.keys = self.identity.keys
        self.peers = Peers(self.home, name)

    def knows(self, other: Party) -> None:
        pin(self.home, other.identity.certificate)


class NoRelay:
    """A control plane that cannot be reached either."""

    async def content(self, _offer: Offer, _offset: int) -> AsyncGenerator[bytes]:
        raise ServiceUnreachable(url="the relay", reason="nobody is there")
        yield b""  # makes this a generator


class Pair:
    """`content` is what the output is said to be; its file is written by `keep`."""

    def __init__(self, folder: Path, content: bytes = CONTENT, deadline_s: float = 10) -> None:
        self.core, self.west = Party(folder, "core"), Party(folder, "west")
        self.core.knows(self.west)
        self.west.knows(self.core)
        self.content = content
        self.kept = folder / "out.arrow"
        self.file = folder / "in.arrow"
        self.arrival = Arrival()
        self.refused: list[Entry] = []
        self.served: list[Entry] = []
        self.west_clock_s = NOW_S
        self._deadline_s = deadline_s
        self._nonces: set[str] = set()

    def keep(self) -> None:
        self.kept.write_bytes(self.content)

    def _record(self, entry: Entry) -> None:
        (self.served if entry.decision == "served" else self.refused).append(entry)

    def handout(self) -> Handout:
        digest = hashlib.sha256(self.content).hexdigest()
        row = OutputRow(
            id="out_1", job="j", step="s1", path=str(self.kept), digest=digest, plan_digest="p", columns="[]",
            rows=1, bytes=len(self.content), tenant="local", principal="ana",
        )  # fmt: skip
        rows = {"out_1": row}
        seal = self.core.keys.seal
        return Handout("core", seal, self.core.peers, rows.get, lambda: NOW_S, self._is_new, self._record)

    def _is_new(self, nonce: str, _now_s: float) -> bool:
        """The book of nonces, as far as one run of an agent needs it."""
        known = nonce in self._nonces
        self._nonces.add(nonce)
        return not known

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[str]:
        """The exchange of `core`, at this URL."""
        listening = bind("127.0.0.1:0", key="exchange")
        pins = tuple(pinned.pem for pinned in self.core.peers.all().values())
        tls = mutual_server(self.core.identity.pair, lambda: pins)
        server = HttpServer(create_exchange(self.handout()), listening, tls)
        await server.start()
        try:
            yield f"https://{address_of(listening)}"
        finally:
            await server.stop()

    @asynccontextmanager
    async def link(self, target: str, *spoil: Spoil) -> AsyncIterator[str]:
        """A wire to the exchange whose first connections each spoil the answer: None cuts it before the first byte.

        It holds the keys of both ends; nobody else could do what it does.
        """
        host, port = target.removeprefix("https://").split(":")
        onward = pinned_client(self.core.identity.certificate.pem, self.west.identity.pair)
        inward = mutual_server(self.core.identity.pair, lambda: (self.west.identity.certificate.pem,))
        faults = list(spoil)

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            fault = faults.pop(0) if faults else (lambda answer: answer)
            upstream_reader, upstream = await asyncio.open_connection(host, int(port), ssl=onward)
            try:
                request = await reader.readuntil(b"\r\n\r\n")
                upstream.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                answer = fault(await upstream_reader.read(-1))
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
            finally:
                for stream in (writer, upstream):
                    stream.close()
            for stream in (writer, upstream):
                await stream.wait_closed()

        server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=inward)
        try:
            yield "https://{}:{}".format(*server.sockets[0].getsockname())
        finally:
            server.close()
            await server.wait_closed()

    def ticket(self, **changes: object) -> str:
        """A ticket of `core` for `west`."""
        ticket = Ticket(
            job="j",
            step="s1",
            fence=1,
            output="out_1",
            digest=hashlib.sha256(CONTENT).hexdigest(),
            consumer="west",
            key=self.west.keys.public,
            expires_s=int(NOW_S) + 60,
        )
        return mint(ticket.model_copy(update=changes), self.core.keys.seal)

    def offer(self, base: str) -> Offer:
        return Offer(
            output="out_1",
            step="s1",
            site="core",
            url=f"{base}/v1/transfers/out_1",
            ticket=self.ticket(),
            rows=1,
            bytes=len(CONTENT),
            digest=hashlib.sha256(CONTENT).hexdigest(),
            columns=[],
        )

    def fetcher(self, links: PeerLinks, relay: Relay | None = None) -> Fetcher:
        """That of `west`."""
        clock = lambda: self.west_clock_s  # noqa: E731  # it changes while the fetcher lives
        return Fetcher(links, relay or NoRelay(), self.west.keys, clock, os.urandom, self._deadline_s)

    @asynccontextmanager
    async def links(self) -> AsyncIterator[PeerLinks]:
        links = PeerLinks(self.west.identity.pair, self.west.peers)
        try:
            yield links
        finally:
            await links.close()

    async def fetch(self, given: Offer, relay: Relay | None = None) -> bytes:
        """What arrives at `west`."""
        async with self.links() as links:
            await self.fetcher(links, relay).fetch(given, self.file, self.arrival)
        return self.file.read_bytes()
