"""Frames: what was sent arrives, what is cut ends the stream, what is too large is refused unread."""

from __future__ import annotations

import asyncio
import io
import struct

import pytest

from datacanal.site.engine.frames import LIMIT_BYTES, FrameTooLarge, pack, read_frame, receive_frame, write_frame


def test_frames_arrive_one_by_one() -> None:
    stream = io.BytesIO()
    for body in (b"{}", b"", "é".encode()):
        write_frame(stream, body)
    stream.seek(0)
    assert [read_frame(stream) for _ in range(4)] == [b"{}", b"", "é".encode(), None]


@pytest.mark.parametrize("left", [1, 3, 5])
def test_a_frame_that_is_cut_is_the_end(left: int) -> None:
    assert read_frame(io.BytesIO(pack(b"hello")[:left])) is None


def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameTooLarge):
        read_frame(io.BytesIO(struct.pack(">I", LIMIT_BYTES + 1)))
    with pytest.raises(FrameTooLarge):
        pack(bytes(LIMIT_BYTES + 1))


def test_asyncio_streams_carry_the_same_frames() -> None:
    async def receive() -> list[bytes | None]:
        reader = asyncio.StreamReader()
        reader.feed_data(pack(b"one") + pack(b"two")[:-1])
        reader.feed_eof()
        return [await receive_frame(reader), await receive_frame(reader)]

    assert asyncio.run(receive()) == [b"one", None]
