"""Fetches that go through the control plane, on both of their ends: sealed for each other, passed on unread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import structlog

from datacanal.domain.errors import DatacanalError, TransferRefused
from datacanal.protocol.problem import Problem, problem_of
from datacanal.protocol.site import Offer, RelayAsk, RelayCommand
from datacanal.site.exchange import Handout
from datacanal.site.keys import SiteKeys
from datacanal.site.peers import Peers
from datacanal.site.relay_cipher import (
    RECORD_BYTES,
    BadRecord,
    Sealing,
    Unsealing,
    asked_part,
    ephemeral_key,
    proof_in,
    public_text,
)
from datacanal.site.store.models import OutputRow
from datacanal.site.tickets import Proof, fetch_text

_CHUNK_BYTES = 16 * RECORD_BYTES
_log = structlog.get_logger()


class RelayLink(Protocol):
    """The calls to the control plane that a relay needs; `ControlLink` is the real one."""

    def relayed(self, ask: RelayAsk) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...

    async def send_relay(self, relay: str, content: AsyncIterator[bytes]) -> None: ...

    async def refuse_relay(self, relay: str, problem: Problem) -> None: ...


class RelayAsker:
    """The consumer's end. `session` gives the id of the agent's session."""

    def __init__(
        self,
        link: RelayLink,
        session: Callable[[], Awaitable[str]],
        peers: Peers,
        keys: SiteKeys,
        clock_s: Callable[[], float],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._link = link
        self._session = session
        self._peers = peers
        self._keys = keys
        self._clock_s = clock_s
        self._randomness = randomness

    async def content(self, offer: Offer, offset: int) -> AsyncGenerator[bytes]:
        """See `fetcher.Relay`."""
        sender = self._peers.key_of(offer.site)
        key = ephemeral_key(self._randomness)
        ask = self._ask(offer, offset, public_text(key), await self._session())
        unsealing = Unsealing(ask, key, sender)
        async with self._link.relayed(ask) as answer:
            async for received in answer:
                if content := b"".join(unsealing.feed(received)):
                    yield content
        if not unsealing.is_complete:
            raise BadRecord("it ends before its last record")

    def _ask(self, offer: Offer, offset: int, ephemeral: str, session: str) -> RelayAsk:
        unsigned = Proof(offer.ticket, str(int(self._clock_s())), self._randomness(16).hex(), "")
        said = fetch_text(offer.output, asked_part(offer.site, offset, ephemeral), unsigned)
        return RelayAsk(
            session=session,
            site=offer.site,
            output=offer.output,
            offset=offset,
            ticket=unsigned.ticket,
            time=unsigned.time,
            nonce=unsigned.nonce,
            signature=self._keys.sign(said),
            ephemeral=ephemeral,
        )


class RelayServer:
    """The sender's end: what the control plane asks for is checked like any fetch, and sealed for its consumer."""

    def __init__(self, handout: Handout, link: RelayLink, keys: SiteKeys, randomness: Callable[[int], bytes]) -> None:
        self._handout = handout
        self._link = link
        self._keys = keys
        self._randomness = randomness

    async def serve(self, command: RelayCommand) -> None:
        """Send the output, or say why not. A relay that breaks is the consumer's to ask for again."""
        try:
            row, sealing = await asyncio.to_thread(self._admitted, command.ask)
            await self._link.send_relay(command.relay, _sealed(Path(row.path), command.ask.offset, sealing))
        except DatacanalError as error:
            await self._refuse(command, error)

    def _admitted(self, ask: RelayAsk) -> tuple[OutputRow, Sealing]:
        if ask.site != self._handout.site or ask.offset < 0:
            raise TransferRefused(reason=f"the fetch is for site {ask.site!r}")
        part = asked_part(ask.site, ask.offset, ask.ephemeral)
        row = self._handout.output_for(None, ask.output, part, proof_in(ask))
        try:
            return row, Sealing(ask, self._keys, ephemeral_key(self._randomness))
        except BadRecord as error:
            raise TransferRefused(reason=str(error)) from None

    async def _refuse(self, command: RelayCommand, error: DatacanalError) -> None:
        _log.warning("relay_refused", relay=command.relay, output=command.ask.output, code=error.code)
        try:
            await self._link.refuse_relay(command.relay, problem_of(error))
        except DatacanalError as refused:  # nobody waits for it any more, or nobody is there to be told
            _log.warning("refusal_undelivered", relay=command.relay, code=refused.code)


async def _sealed(file: Path, offset: int, sealing: Sealing) -> AsyncIterator[bytes]:
    yield sealing.opening
    with await asyncio.to_thread(file.open, "rb") as stream:
        stream.seek(offset)
        content = await asyncio.to_thread(stream.read, _CHUNK_BYTES)
        while following := await asyncio.to_thread(stream.read, _CHUNK_BYTES):
            yield await asyncio.to_thread(sealing.records, content, last=False)
            content = following
        yield await asyncio.to_thread(sealing.records, content, last=True)
