"""Frames: what was sent arrives whole, what is cut ends the stream, what is too large is refused unread."""

from __future__ import annotations

import asyncio
import io

import pytest

from datacanal.frames import (
    HEAD_BYTES,
    LIMIT_BYTES,
    BadFrame,
    body_length,
    pack,
    read_frame,
    receive_frame,
    write_frame,
)


def head(length: int) -> bytes:
    return length.to_bytes(HEAD_BYTES, "big")


def test_frames_arrive_one_by_one_and_then_the_end() -> None:
    stream = io.BytesIO()
    for body in (b"{}", b"", "é".encode()):
        write_frame(stream, body)
    stream.seek(0)
    assert [read_frame(stream) for _ in range(4)] == [b"{}", b"", "é".encode(), None]


@pytest.mark.parametrize("left", [1, 2, 3, 5, 6, 8])
def test_a_frame_that_is_cut_is_the_end(left: int) -> None:
    assert read_frame(io.BytesIO(pack(b"hello")[:left])) is None


def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    for length in (LIMIT_BYTES + 1, 2**32 - 1):
        with pytest.raises(BadFrame):
            read_frame(io.BytesIO(head(length)))


def test_a_head_that_promises_too_much_is_refused() -> None:
    assert body_length(head(LIMIT_BYTES)) == LIMIT_BYTES
    with pytest.raises(BadFrame):
        body_length(head(LIMIT_BYTES + 1))


def test_a_document_above_the_limit_is_not_sent() -> None:
    with pytest.raises(BadFrame):
        pack(bytes(LIMIT_BYTES + 1))


def test_asyncio_streams_carry_the_same_frames() -> None:
    async def receive() -> list[bytes | None]:
        reader = asyncio.StreamReader()
        reader.feed_data(pack(b"one") + pack(b"two")[:-1])
        reader.feed_eof()
        return [await receive_frame(reader), await receive_frame(reader)]

    assert asyncio.run(receive()) == [b"one", None]
