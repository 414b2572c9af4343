"""Frames: whole messages or a clear end, never half of one."""

from __future__ import annotations

import io

import pytest

from datacanal.planning.frames import MAX_FRAME_BYTES, BadFrame, encoded, frame_length, read_frame


def test_messages_come_back_one_by_one_and_then_the_end() -> None:
    stream = io.BytesIO(encoded({"a": "é中\ud800"}) + encoded({"b": [1]}))
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [{"a": "é中\ud800"}, {"b": [1]}, None]


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0",
        b"\0\0\0\5{}",
        b"\0\0\0\2[]",
        b"\0\0\0\2{x",
        b"\xff\xff\xff\xff",
        (2 * 10**5).to_bytes(4, "big") + b"[" * 2 * 10**5,
    ],
)
def test_anything_else_is_a_bad_frame(body: bytes) -> None:
    with pytest.raises(BadFrame):
        read_frame(io.BytesIO(body))


def test_a_head_that_promises_too_much_is_refused() -> None:
    assert frame_length(MAX_FRAME_BYTES.to_bytes(4, "big")) == MAX_FRAME_BYTES
    with pytest.raises(BadFrame):
        frame_length((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_what_is_not_json_is_not_sent() -> None:
    with pytest.raises(ValueError, match=r"."):
        encoded({"a": float("nan")})
