"""Messages of a binder process: JSON objects and nothing else."""

from __future__ import annotations

import pytest

from datacanal.frames import BadFrame
from datacanal.planning.messages import decoded, encoded


@pytest.mark.parametrize("message", [{"a": "é中\ud800"}, {"b": [1]}])
def test_a_message_comes_back_as_it_was(message: dict[str, object]) -> None:
    assert decoded(encoded(message)) == message


@pytest.mark.parametrize("body", [b"", b"[]", b"{x", b"[" * 2 * 10**5])
def test_anything_else_is_a_bad_frame(body: bytes) -> None:
    with pytest.raises(BadFrame):
        decoded(body)


def test_what_is_not_json_is_not_sent() -> None:
    with pytest.raises(ValueError, match=r"."):
        encoded({"a": float("nan")})
