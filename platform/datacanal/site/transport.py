"""How a site speaks with others: who it is, whom it knows, and the doors between them. All of it is mutual TLS."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from datacanal.configured_values import EVERYWHERE
from datacanal.serving.runner import HttpServer, address_of
from datacanal.serving.tls import mutual_server
from datacanal.site.control_link import ControlLink, SiteDoor
from datacanal.site.exchange import Handout, create_exchange
from datacanal.site.identity import Membership, SiteIdentity, load_identity
from datacanal.site.joining import PublicDoor, Tokens, ensure_joined
from datacanal.site.peer_links import PeerLinks, secured_client
from datacanal.site.peers import Peers


@dataclass(frozen=True)
class Transport:
    """The site's keys and pins, its way to the control plane, and its ways to other sites."""

    identity: SiteIdentity
    member: Membership
    peers: Peers
    link: ControlLink
    links: PeerLinks


@asynccontextmanager
async def open_transport(home: Path, site: str, control: PublicDoor, tokens: Tokens) -> AsyncIterator[Transport]:
    """Join where that has not happened yet, and hold the connections. Raises what `ensure_joined` does."""
    identity = await asyncio.to_thread(load_identity, home, site, os.urandom)
    member = await ensure_joined(home, identity, control, tokens)
    peers = Peers(home, site)
    links = PeerLinks(identity.pair, peers)
    door = SiteDoor(member.door, lambda: control.find_door(member.anchor))
    async with AsyncExitStack() as closing:
        client = await closing.enter_async_context(secured_client(member.certificate, identity.pair))
        closing.push_async_callback(links.close)
        yield Transport(identity, member, peers, ControlLink(client, door), links)


@asynccontextmanager
async def open_exchange(transport: Transport, handout: Handout, listening: socket.socket) -> AsyncIterator[None]:
    """Hand out on this socket, to pinned sites only."""
    pins = _Pins(transport.peers)
    server = HttpServer(create_exchange(handout), listening, mutual_server(transport.identity.pair, pins.certificates))
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def exchange_url(listening: socket.socket, given: str | None) -> str:
    """Where other sites call this one: as its owner says, else where it listens."""
    host, port = listening.getsockname()[:2]
    return given or f"https://{f'{socket.getfqdn()}:{port}' if host in EVERYWHERE else address_of(listening)}"


class _Pins:
    """The pinned certificates as one value that stays the same for as long as the pins do."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._of = peers.all()
        self._certificates = tuple(pinned.pem for pinned in self._of.values())

    def certificates(self) -> tuple[str, ...]:
        pinned = self._peers.all()
        if pinned is not self._of:
            self._of, self._certificates = pinned, tuple(each.pem for each in pinned.values())
        return self._certificates
