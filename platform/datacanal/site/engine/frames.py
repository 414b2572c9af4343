"""JSON documents over pipes: four bytes of length, then that many bytes of UTF-8 JSON. Never pickles."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from typing import BinaryIO

LIMIT_BYTES = 64 * 2**20
_HEAD = struct.Struct(">I")


class FrameTooLarge(Exception):
    """The other side announced or was given a frame above the limit; the stream is of no use any more."""


def pack(body: bytes) -> bytes:
    """The frame of a document."""
    if len(body) > LIMIT_BYTES:
        raise FrameTooLarge(f"{len(body)} bytes")
    return _HEAD.pack(len(body)) + body


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Send one document and flush it."""
    stream.write(pack(body))
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next document, None at the end of the stream (also when it ends inside a frame)."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size = _checked(head)
    body = stream.read(size)
    return body if len(body) == size else None


async def receive_frame(stream: asyncio.StreamReader) -> bytes | None:
    """The same on an asyncio stream."""
    try:
        return await stream.readexactly(_checked(await stream.readexactly(_HEAD.size)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _checked(head: bytes) -> int:
    size: int = _HEAD.unpack(head)[0]
    if size > LIMIT_BYTES:
        raise FrameTooLarge(f"{size} bytes")
    return size


def claim_stdout() -> BinaryIO:
    """Take standard output for frames alone: whatever a library prints from now on goes to standard error."""
    sys.stdout.flush()
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames
