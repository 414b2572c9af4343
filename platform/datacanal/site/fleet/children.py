"""A pool's process on this machine: over pipes, with a lifeline."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from typing import IO

from pydantic import BaseModel

from datacanal.frames import LIMIT_BYTES
from datacanal.lifeline import spawn
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.member import Conversation, keep_words


class Child:
    """A `Member`, made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._transports: list[asyncio.BaseTransport] = []
        self._gone = asyncio.Event()
        self._conversation: Conversation
        self._watch: asyncio.Task[None]

    @classmethod
    async def start(cls, module: str, arguments: Sequence[str], log: CappedLog) -> Child:
        """Start `python -m module arguments`."""
        process = await asyncio.to_thread(
            spawn, module, arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        child = cls(process)
        child._conversation = Conversation(await child._reader(process.stdout), await child._writer(process.stdin))
        child._watch = asyncio.create_task(child._listen(await child._reader(process.stderr), log))
        return child

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def hear(self) -> bytes | None:
        """The next frame that it sends; None when it has died."""
        return await self._conversation.hear()

    def tell(self, document: BaseModel) -> None:
        """Send a frame; said to the dead it is lost."""
        self._conversation.tell(document)

    def kill(self) -> None:
        """End it now; its own children follow by their lifelines."""
        self._process.kill()

    async def gone(self) -> None:
        """Wait until it and all its children are gone."""
        await self._gone.wait()

    async def _listen(self, words: asyncio.StreamReader, log: CappedLog) -> None:
        """Standard error is inherited by its children, so its end is the end of them all."""
        await keep_words(words, log)
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)  # transports close their pipes in the loop's next turn
        self._gone.set()

    async def _reader(self, pipe: IO[bytes] | None) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=LIMIT_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._transports.append(transport)
        return reader

    async def _writer(self, pipe: IO[bytes] | None) -> asyncio.WriteTransport:
        transport, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, pipe)
        self._transports.append(transport)
        return transport
