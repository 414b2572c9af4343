"""Fetch an output from the site that holds it: in bounded memory, resumed where it broke off, checked whole.

Straight from the sender's exchange, or through the relay where that cannot be reached.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import httpx
import stamina

from datacanal.domain.errors import (
    DatacanalError,
    OutOfDisk,
    OutputLost,
    ServiceBusy,
    ServiceUnreachable,
    SiteUnreachable,
    TransferDamaged,
    TransferRefused,
)
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import Offer
from datacanal.site.answers import is_of_another_key, words_of
from datacanal.site.keys import SiteKeys
from datacanal.site.peer_links import PeerLinks
from datacanal.site.relay_cipher import BadRecord
from datacanal.site.tickets import Proof, fetch_text

_CHUNK_BYTES = 2**20
_DAMAGED_AT_MOST = 3
_TIMEOUT = httpx.Timeout(10, connect=3)
_RELAYED_S = 60.0
"""For how long a site that could not be reached is not tried directly again."""


class _Interrupted(Exception):
    """A try that another one may make good."""


class _CannotConnect(Exception):
    """Nobody can be spoken to at the sender's address."""


class Relay(Protocol):
    """The way through the control plane; `RelayAsker` is the real one."""

    def content(self, offer: Offer, offset: int) -> AsyncGenerator[bytes]:
        """The bytes of the output from `offset` on, each part checked.

        Raises `ServiceUnreachable`, `ServiceBusy` and `SiteUnreachable` where another try may help, `BadRecord` for
        what was changed on its way, and the sender's refusal.
        """
        ...


@dataclass
class Arrival:
    """What came over the wire, failed tries included."""

    bytes: int = 0


class _Incoming:
    """The file as far as it arrived, and its digest so far."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("wb")
        self._digest = hashlib.sha256()
        self.length = 0
        self.damaged = 0

    def __enter__(self) -> _Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def write(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self._digest.update(chunk)
        self.length += len(chunk)

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._digest = hashlib.sha256()
        self.length = 0

    def check(self, offer: Offer) -> None:
        """Raise `TransferDamaged` unless this is what was offered; begin anew then."""
        self._stream.flush()
        if self.length != offer.bytes:
            raise self.damage(offer, f"{self.length} of {offer.bytes} bytes")
        if self._digest.hexdigest() != offer.digest:
            raise self.damage(offer, "another digest")

    def damage(self, offer: Offer, reason: str) -> TransferDamaged:
        """Throw away what came; the error to raise."""
        self.restart()
        self.damaged += 1
        return TransferDamaged(site=offer.site, reason=reason)

    def may_retry(self, error: Exception) -> bool:
        """Whether another try may do better: a link that broke always, damaged content a few times."""
        return isinstance(error, _Interrupted) or (
            isinstance(error, TransferDamaged) and self.damaged < _DAMAGED_AT_MOST
        )


class Fetcher:
    """Fetches over `links`, and through the relay where nobody answers there.

    `deadline_s` is how long a transfer may go without a new byte before the sender counts as unreachable.
    """

    def __init__(
        self,
        links: PeerLinks,
        relay: Relay,
        keys: SiteKeys,
        clock_s: Callable[[], float],
        randomness: Callable[[int], bytes] = os.urandom,
        deadline_s: float = 60,
    ) -> None:
        self._links = links
        self._relay = relay
        self._keys = keys
        self._clock_s = clock_s
        self._randomness = randomness
        self._deadline_s = deadline_s
        self._relayed_until_s: dict[str, float] = {}

    async def fetch(self, offer: Offer, file: Path, arrival: Arrival) -> None:
        """Bring the output into the file; `arrival` counts while it comes.

        Raises `SiteUnreachable`, `TransferRefused`, `OutputLost`, `TransferDamaged` or `OutOfDisk`.
        """
        try:
            with _Incoming(file) as incoming:
                while not await self._advance(offer, incoming, arrival):
                    pass
        except OSError as error:
            raise OutOfDisk(reason=error.strerror or str(error)) from None

    async def _advance(self, offer: Offer, incoming: _Incoming, arrival: Arrival) -> bool:
        """Retry until the file is whole (True) or has grown (False), which earns it a new deadline."""
        before = incoming.length
        why = "no answer"
        retries = stamina.retry_context(
            on=incoming.may_retry,
            attempts=None,
            timeout=self._deadline_s,
            wait_initial=0.1,
            wait_max=3,
            wait_jitter=0.4,
        )
        try:
            async for attempt in retries:
                with attempt:
                    try:
                        await self._receive(offer, incoming, arrival)
                        incoming.check(offer)
                    except _Interrupted as error:
                        why = str(error)
                        if incoming.length <= before:
                            raise
                        return False
        except _Interrupted:
            raise SiteUnreachable(site=offer.site, reason=why) from None
        return True

    async def _receive(self, offer: Offer, incoming: _Incoming, arrival: Arrival) -> None:
        if incoming.length == offer.bytes:  # the link broke after the last byte
            return
        if self._relayed_until_s.get(offer.site, 0.0) > time.monotonic():
            await self._receive_relayed(offer, incoming, arrival, "not tried again so soon")
            return
        try:
            await self._receive_directly(offer, incoming, arrival)
        except _CannotConnect as error:
            await self._receive_relayed(offer, incoming, arrival, str(error))
            self._relayed_until_s[offer.site] = time.monotonic() + _RELAYED_S

    async def _receive_directly(self, offer: Offer, incoming: _Incoming, arrival: Arrival) -> None:
        client = self._links.client(offer.site)
        if not offer.url.startswith("https://"):
            raise TransferRefused(reason=f"the offer of site {offer.site!r} names no https address")
        headers = self._headers(offer, incoming.length)
        try:
            async with client.stream("GET", offer.url, headers=headers, timeout=_TIMEOUT) as response:
                await self._check_answer(offer, response)
                if response.status_code != httpx.codes.PARTIAL_CONTENT and incoming.length:
                    incoming.restart()
                async for chunk in response.aiter_raw(_CHUNK_BYTES):
                    await _take(chunk, offer, incoming, arrival)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if is_of_another_key(error):
                raise TransferRefused(reason=f"{words_of(error)} (site {offer.site!r} at {offer.url})") from None
            raise _CannotConnect(words_of(error)) from None
        except httpx.TransportError as error:
            raise _Interrupted(words_of(error)) from None
        except httpx.InvalidURL as error:
            raise _Interrupted(str(error)) from None

    async def _receive_relayed(self, offer: Offer, incoming: _Incoming, arrival: Arrival, direct: str) -> None:
        try:
            async with aclosing(self._relay.content(offer, incoming.length)) as chunks:
                async for chunk in chunks:
                    await _take(chunk, offer, incoming, arrival)
        except BadRecord as error:
            raise incoming.damage(offer, str(error)) from None
        except (ServiceUnreachable, ServiceBusy, SiteUnreachable) as error:
            raise _Interrupted(f"directly: {direct}; through the relay: {error.data.get('reason')}") from None

    def _headers(self, offer: Offer, offset: int) -> dict[str, str]:
        unsigned = Proof(offer.ticket, str(int(self._clock_s())), self._randomness(16).hex(), "")
        range_ = f"bytes={offset}-" if offset else ""
        headers = {
            "Accept-Encoding": "identity",
            "Datacanal-Ticket": unsigned.ticket,
            "Datacanal-Time": unsigned.time,
            "Datacanal-Nonce": unsigned.nonce,
            "Datacanal-Signature": self._keys.sign(fetch_text(offer.output, range_, unsigned)),
        }
        return {**headers, "Range": range_} if range_ else headers

    async def _check_answer(self, offer: Offer, response: httpx.Response) -> None:
        if response.status_code in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            return
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _Interrupted(f"status {response.status_code}")
        raise _refusal(offer, response.status_code, await response.aread())


async def _take(chunk: bytes, offer: Offer, incoming: _Incoming, arrival: Arrival) -> None:
    arrival.bytes += len(chunk)
    if incoming.length + len(chunk) > offer.bytes:
        raise incoming.damage(offer, f"more than {offer.bytes} bytes")
    await asyncio.to_thread(incoming.write, chunk)


def _refusal(offer: Offer, status: int, body: bytes) -> DatacanalError:
    try:
        problem = Problem.model_validate_json(body)
    except ValueError:
        return TransferRefused(reason=f"site {offer.site!r} answered with status {status}")
    known = {OutputLost.code, TransferRefused.code}
    return error_of(problem) if problem.code in known else TransferRefused(reason=problem.detail)
