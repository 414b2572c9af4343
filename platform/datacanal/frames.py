"""Documents over pipes: four bytes of length, then that many bytes. What they mean is for the two ends to know.

Longer ones than the limit are refused unread. A stream that ends inside a frame has ended: its writer was killed.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from typing import BinaryIO

LIMIT_BYTES = 64 * 2**20
_HEAD = struct.Struct(">I")
HEAD_BYTES = _HEAD.size


class BadFrame(Exception):
    """The other side does not keep to the protocol, or a document is too long for it. The stream is of no more use."""


def pack(body: bytes) -> bytes:
    """The frame of a document. Raises `BadFrame` above the limit."""
    return _HEAD.pack(_checked(len(body))) + body


def body_length(head: bytes) -> int:
    """How many bytes follow a frame's head. Raises `BadFrame` above the limit."""
    return _checked(_HEAD.unpack(head)[0])


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Send one document and flush it. Raises `BadFrame` above the limit."""
    stream.write(pack(body))
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next document, None at the end of the stream. Raises `BadFrame` above the limit."""
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    length = body_length(head)
    body = stream.read(length)
    return body if len(body) == length else None


async def receive_frame(stream: asyncio.StreamReader) -> bytes | None:
    """The same on an asyncio stream."""
    try:
        return await stream.readexactly(body_length(await stream.readexactly(HEAD_BYTES)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def claim_stdout() -> BinaryIO:
    """Take standard output for frames alone: whatever a library prints from now on goes to standard error."""
    sys.stdout.flush()
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames


def _checked(length: int) -> int:
    if length > LIMIT_BYTES:
        raise BadFrame(f"a document of {length} bytes is too long")
    return length
