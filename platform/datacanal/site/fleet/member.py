"""A member of a pool, a process or a container, as the agent holds it: frames in and out, words, its whole end."""

from __future__ import annotations

import asyncio
from typing import Protocol

from pydantic import BaseModel

from datacanal.frames import pack, receive_frame
from datacanal.site.fleet.log import Log

_PIECE_BYTES = 65536


class Member(Protocol):
    """`kill` and `gone` may be called any number of times."""

    async def hear(self) -> bytes | None:
        """The next frame that it sends; None when it has died."""
        ...

    def tell(self, document: BaseModel) -> None:
        """Send a frame; said to the dead it is lost."""
        ...

    def kill(self) -> None:
        """End it now, with all that it started."""
        ...

    async def gone(self) -> None:
        """Wait until it and all that it started are gone."""
        ...


class Conversation:
    """Both directions of frames, over pipes or a socket."""

    def __init__(self, frames: asyncio.StreamReader, requests: asyncio.WriteTransport) -> None:
        self._frames = frames
        self._requests = requests

    async def hear(self) -> bytes | None:
        """The next frame; None at the end."""
        return await receive_frame(self._frames)

    def tell(self, document: BaseModel) -> None:
        """Send a frame; said to the dead it is lost."""
        self._requests.write(pack(document.model_dump_json().encode()))


async def keep_words(words: asyncio.StreamReader, log: Log) -> None:
    """Append everything to the log until the last writer is gone."""
    while said := await words.read(_PIECE_BYTES):
        log.append(said)
