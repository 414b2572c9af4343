"""Results on their way: an agent's upload is handed chunk by chunk to the client who asked, and never stored.

A full pipe stops the agent, a client who leaves ends the upload, and an upload that breaks breaks the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from datacanal.control.commands import CommandBox
from datacanal.control.desk import Desk
from datacanal.control.jobs import ResultPlace
from datacanal.domain.errors import BadRequest, DatacanalError, NotFound, ServiceBusy
from datacanal.protocol.problem import Problem, error_of
from datacanal.protocol.site import LogCommand, UploadCommand

BEGIN_WITHIN_S = 50.0
_CHUNKS_IN_THE_PIPE = 4


class RelayBroken(Exception):
    """The upload ended before all its bytes came; the answer must not look complete."""


@dataclass(frozen=True)
class Head:
    """What the agent announces: bytes of the whole export and their sha256 in hex."""

    length: int
    digest: str


class Pipe:
    """A few chunks between one writer and one reader; the writer waits while it is full."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._moved = asyncio.Event()
        self._ended = False
        self._abandoned = False

    async def put(self, chunk: bytes) -> bool:
        """Hand a chunk over; False when nobody reads any more."""
        while len(self._chunks) >= _CHUNKS_IN_THE_PIPE and not self._abandoned:
            await self._next_move()
        self._chunks.append(chunk)
        self._moved.set()
        return not self._abandoned

    async def get(self) -> bytes | None:
        """The next chunk; None after the last."""
        while not self._chunks and not self._ended:
            await self._next_move()
        self._moved.set()
        return self._chunks.popleft() if self._chunks else None

    def end(self) -> None:
        """Nothing more will be put."""
        self._ended = True
        self._moved.set()

    def abandon(self) -> None:
        """Nothing more will be read."""
        self._abandoned = True
        self._moved.set()

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()


class Upload:
    """An export, or words of attempts, between the agent that sends it and the client that waits for it."""

    def __init__(self, command: UploadCommand | LogCommand, site: str) -> None:
        self.command = command
        self.site = site
        self._head: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._pipe = Pipe()
        self._complete = False

    @property
    def offset(self) -> int:
        """Where the agent begins."""
        return self.command.offset if isinstance(self.command, UploadCommand) else 0

    async def head(self) -> Head:
        """Wait for the agent to begin. Raises the agent's refusal, or `ServiceBusy` while it still exports."""
        try:
            async with asyncio.timeout(BEGIN_WITHIN_S):
                return await asyncio.shield(self._head)
        except TimeoutError:
            raise ServiceBusy(reason=f"site {self.site} is still preparing it") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come. Raises `RelayBroken` where the agent stopped early."""
        while (chunk := await self._pipe.get()) is not None:
            yield chunk
        if not self._complete:
            raise RelayBroken

    async def whole(self, at_most_bytes: int) -> bytes:
        """All of something small. Raises the agent's refusal, and `ServiceBusy` where not all of it came."""
        head = await self.head()
        if head.length > at_most_bytes:
            raise ServiceBusy(reason=f"site {self.site} sends more than the {at_most_bytes} bytes that are taken")
        try:
            return b"".join([chunk async for chunk in self.chunks()])
        except RelayBroken:
            raise ServiceBusy(reason=f"site {self.site} broke off") from None

    def refuse(self, problem: Problem) -> None:
        """The agent will not send it."""
        self.fail(error_of(problem))

    def fail(self, error: DatacanalError) -> None:
        """It will not begin."""
        if not self._head.done():
            self._head.set_exception(error)
            self._head.exception()  # seen: nobody may be waiting any more

    async def send(self, head: Head, body: AsyncIterator[bytes]) -> None:
        """Take the agent's body to its end. Raises `NotFound` once nobody waits for it any more."""
        if self._head.done():
            raise BadRequest(reason="this upload was begun before")
        self._head.set_result(head)
        remaining = head.length - self.offset
        try:
            async for chunk in body:
                remaining -= len(chunk)
                if remaining < 0:
                    raise BadRequest(reason="the body is longer than announced")
                if not await self._pipe.put(chunk):
                    raise NotFound(what="upload", name=self.command.upload)
            if remaining > 0:
                raise BadRequest(reason="the body is shorter than announced")
            self._complete = True
        finally:
            self._pipe.end()

    def begin_empty(self, head: Head) -> None:
        """The export is shorter than the offset that the client asked for: tell it the length, send nothing."""
        if not self._head.done():
            self._head.set_result(head)

    def abandon(self) -> None:
        """The client is gone."""
        self._pipe.abandon()
        self._head.cancel()


class UploadRelay:
    """The uploads under way."""

    def __init__(self, desk: Desk, commands: CommandBox) -> None:
        self._desk = desk
        self._commands = commands
        self._uploads: dict[str, Upload] = {}

    @asynccontextmanager
    async def requested(
        self, place: ResultPlace, result_format: str, offset: int, authority: str
    ) -> AsyncIterator[Upload]:
        """Ask the site for an export of the job's result; gone from both sides when the block ends.

        `authority` is the word of whoever asks.
        """
        command = UploadCommand(
            upload=self._new_id(), job=place.job, format=result_format, offset=offset, authority=authority
        )
        async with self._asked(place.site, command) as upload:
            yield upload

    @asynccontextmanager
    async def words(self, site: str, job: str, authority: str) -> AsyncIterator[Upload]:
        """Ask the site for what the job's attempts said there; the same way."""
        async with self._asked(site, LogCommand(upload=self._new_id(), job=job, authority=authority)) as upload:
            yield upload

    def _new_id(self) -> str:
        return self._desk.clock.new_id("upl")

    @asynccontextmanager
    async def _asked(self, site: str, command: UploadCommand | LogCommand) -> AsyncIterator[Upload]:
        upload = self._uploads[command.upload] = Upload(command, site)
        self._commands.post(site, command)
        try:
            yield upload
        finally:
            del self._uploads[command.upload]
            self._commands.withdraw(site, command)
            upload.abandon()

    def find(self, upload_id: str, site: str) -> Upload:
        """The upload that this site was asked for. Raises `NotFound`."""
        upload = self._uploads.get(upload_id)
        if upload is None or upload.site != site:
            raise NotFound(what="upload", name=upload_id)
        return upload

    def refuse_all(self, error: DatacanalError) -> None:
        """Let go of everybody who still waits for an upload to begin, at the end."""
        for upload in self._uploads.values():
            upload.fail(error)
