"""JSON messages over a pipe: four bytes of length, then the message. Longer ones than the limit are refused."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

MAX_FRAME_BYTES = 64 * 2**20
_HEAD = struct.Struct(">I")


class BadFrame(Exception):
    """The other side does not keep to the protocol; the pipe is of no use any more."""


def encoded(message: dict[str, Any]) -> bytes:
    """The frame of a message."""
    body = json.dumps(message, allow_nan=False).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrame(f"a message of {len(body)} bytes is too long")
    return _HEAD.pack(len(body)) + body


def read_frame(stream: IO[bytes]) -> dict[str, Any] | None:
    """The next message, or `None` where the stream ends between two. Raises `BadFrame`."""
    head = _exactly(stream, _HEAD.size)
    if not head:
        return None
    (length,) = _HEAD.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise BadFrame(f"a message of {length} bytes is too long")
    return decoded(_exactly(stream, length))


def decoded(body: bytes) -> dict[str, Any]:
    """The message of a frame's body. Raises `BadFrame`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a message is not JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("a message is not an object")
    return message


def frame_length(head: bytes) -> int:
    """How many bytes follow a frame's head. Raises `BadFrame` where they are too many."""
    (length,) = _HEAD.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise BadFrame(f"a message of {length} bytes is too long")
    return int(length)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    body = stream.read(count)
    if body and len(body) < count:
        raise BadFrame("the stream ended inside a message")
    return body
