"""Fetches between two sites that cannot reach each other: passed on chunk by chunk, never stored, never understood.

What passes is sealed for its consumer; the sender checks who asks. All that is done here is to bring the two together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from datacanal.control.commands import CommandBox
from datacanal.control.desk import Desk
from datacanal.control.uploads import Pipe, RelayBroken
from datacanal.domain.errors import BadRequest, DatacanalError, NotFound, ServiceBusy
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import RelayAsk, RelayCommand

BEGIN_WITHIN_S = 15.0


class Relay:
    """One fetch between the sender that is told to serve it and the consumer that waits for it."""

    def __init__(self, command: RelayCommand) -> None:
        self.command = command
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pipe = Pipe()
        self._complete = False

    async def begun(self) -> None:
        """Wait for the sender. Raises its refusal, or `ServiceBusy` where it does not come."""
        try:
            async with asyncio.timeout(BEGIN_WITHIN_S):
                await asyncio.shield(self._begun)
        except TimeoutError:
            raise ServiceBusy(reason=f"site {self.command.ask.site} does not answer the relay") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come. Raises `RelayBroken` where the sender stopped early."""
        while (chunk := await self._pipe.get()) is not None:
            yield chunk
        if not self._complete:
            raise RelayBroken

    async def send(self, body: AsyncIterator[bytes]) -> None:
        """Take the sender's body to its end. Raises `NotFound` once nobody waits for it any more."""
        if self._begun.done():
            raise BadRequest(reason="this relay was begun before")
        self._begun.set_result(None)
        try:
            async for chunk in body:
                if not await self._pipe.put(chunk):
                    raise NotFound(what="relay", name=self.command.relay)
            self._complete = True
        finally:
            self._pipe.end()

    def refuse(self, problem: Problem) -> None:
        """The sender will not serve it."""
        self.fail(error_of(problem))

    def fail(self, error: DatacanalError) -> None:
        """It will not begin."""
        if not self._begun.done():
            self._begun.set_exception(error)
            self._begun.exception()  # seen: nobody may be waiting any more

    def abandon(self) -> None:
        """The consumer is gone."""
        self._pipe.abandon()
        self._begun.cancel()


class RelayDesk:
    """The relays under way."""

    def __init__(self, desk: Desk, commands: CommandBox) -> None:
        self._desk = desk
        self._commands = commands
        self._relays: dict[str, Relay] = {}

    @contextmanager
    def requested(self, ask: RelayAsk) -> Iterator[Relay]:
        """Tell the sender to serve the fetch; gone from both sides when the block ends."""
        relay_id = self._desk.clock.new_id("rel")
        command = RelayCommand(relay=relay_id, ask=ask.model_copy(update={"session": ""}))
        relay = self._relays[relay_id] = Relay(command)
        self._commands.post(ask.site, command)
        try:
            yield relay
        finally:
            del self._relays[relay_id]
            self._commands.withdraw(ask.site, command)
            relay.abandon()

    def find(self, relay_id: str, site: str) -> Relay:
        """The relay that this site was told to serve. Raises `NotFound`."""
        relay = self._relays.get(relay_id)
        if relay is None or relay.command.ask.site != site:
            raise NotFound(what="relay", name=relay_id)
        return relay

    def refuse_all(self, error: DatacanalError) -> None:
        """Let go of everybody who still waits for a relay to begin, at the end."""
        for relay in self._relays.values():
            relay.fail(error)
