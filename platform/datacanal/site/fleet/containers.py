"""A pool's member that is a container: started by the launcher, spoken to over its lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import structlog
from pydantic import BaseModel

from datacanal.domain.errors import DatacanalError, NotFound
from datacanal.site.engine.assignment import Assignment
from datacanal.site.fleet.lines import Lines
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.member import Conversation, keep_words
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.specification import ContainerSpecification

_CONNECTS_WITHIN_S = 30.0
_LOOK_S = 2.0
_REMOVE_TRIES = 3

_log = structlog.get_logger()


class Container:
    """A `Member`, made by `start`.

    While it runs nobody asks the launcher about it: its lines end when it does, however it ends, so the launcher may
    die and come back under it.
    """

    def __init__(self, launcher: LauncherClient, name: str, lines: Lines, log: CappedLog) -> None:
        self._launcher = launcher
        self._name = name
        self._lines = lines
        self._log = log
        self._killed = asyncio.Event()
        self._gone = asyncio.Event()
        self._conversation: asyncio.Future[Conversation | None] = asyncio.get_running_loop().create_future()
        self._unsaid: list[BaseModel] = []
        self._watch: asyncio.Task[None]

    @classmethod
    async def start(
        cls,
        launcher: LauncherClient,
        specification: ContainerSpecification,
        assignment: Assignment,
        channels: Path,
        log: CappedLog,
    ) -> Container:
        """Start it; its lines come later. Raises what the launcher answers."""
        lines = Lines(channels / specification.channel, specification.role)
        await lines.open()
        container = cls(launcher, specification.name, lines, log)
        try:
            await launcher.start(specification)
        except BaseException:
            await lines.close()
            await container._remove()  # it may be on its way
            raise
        container._watch = asyncio.create_task(container._live(assignment))
        return container

    @property
    def name(self) -> str:
        """What the launcher knows it by."""
        return self._name

    async def hear(self) -> bytes | None:
        """The next frame that it sends; None when it has died."""
        conversation = await asyncio.shield(self._conversation)
        return None if conversation is None else await conversation.hear()

    async def result(self) -> asyncio.StreamReader | None:
        """A driver's table, to be read to its end before the driver is killed; None when it never connected.

        Raises `KeyError` for any other role.
        """
        return None if await asyncio.shield(self._conversation) is None else self._lines.result

    def tell(self, document: BaseModel) -> None:
        """Send a frame, once it can be sent; said to the dead it is lost."""
        if not self._conversation.done():
            self._unsaid.append(document)
        elif (conversation := self._conversation.result()) is not None:
            conversation.tell(document)

    def kill(self) -> None:
        """End it now."""
        self._killed.set()

    async def gone(self) -> None:
        """Wait until it is removed, or, where no launcher answers, at least dead."""
        await self._gone.wait()

    async def _live(self, assignment: Assignment) -> None:
        try:
            if await self._is_connected():
                await self._serve(assignment)
            else:
                self._conversation.set_result(None)
                await self._keep_last_words()
        finally:
            await self._lines.close()
            await self._remove()
            self._gone.set()

    async def _serve(self, assignment: Assignment) -> None:
        """Until it has ended, or is to end."""
        self._lines.assign(assignment)
        conversation = Conversation(self._lines.replies, self._lines.requests)
        for document in self._unsaid:
            conversation.tell(document)
        self._conversation.set_result(conversation)
        await _first(keep_words(self._lines.words, self._log), self._killed.wait())

    async def _is_connected(self) -> bool:
        """False where it ended, was killed, or took too long before it connected."""
        connected = asyncio.create_task(self._lines.connected())
        await _first(connected, self._ended(), self._killed.wait(), asyncio.sleep(_CONNECTS_WITHIN_S))
        return connected.done() and not connected.cancelled() and not self._killed.is_set()

    async def _ended(self) -> None:
        while True:
            try:
                if not (await self._launcher.wait(self._name)).running:
                    return
            except DatacanalError as error:
                if error.code == NotFound.code:
                    return
                await asyncio.sleep(_LOOK_S)  # it is not the launcher who keeps the container alive

    async def _keep_last_words(self) -> None:
        """What it said before it could be heard says why it never was."""
        try:
            said = await self._launcher.logs(self._name)
        except DatacanalError as error:
            said = f"(its log cannot be read: {error.detail})"
        self._log.append(f"{self._name} never connected. {said}\n".encode())

    async def _remove(self) -> None:
        """A dead one that stays is removed by the launcher itself, within its reconciler's time."""
        for _ in range(_REMOVE_TRIES):
            try:
                await self._launcher.remove(self._name)
            except DatacanalError as error:
                _log.warning("container_not_removed", container=self._name, code=error.code, detail=error.detail)
                await asyncio.sleep(_LOOK_S)
            else:
                return


async def _first(*waiting: Awaitable[object]) -> None:
    """Wait for whichever ends first; the others are cancelled."""
    futures = [asyncio.ensure_future(each) for each in waiting]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
