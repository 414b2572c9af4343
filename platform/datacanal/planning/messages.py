"""What goes between a binder process and its pool: JSON objects, each in a frame."""

from __future__ import annotations

import json
from typing import Any

from datacanal.frames import BadFrame


def encoded(message: dict[str, Any]) -> bytes:
    """The body of a message's frame. Raises `ValueError` where it holds what JSON cannot."""
    return json.dumps(message, allow_nan=False).encode()


def decoded(body: bytes) -> dict[str, Any]:
    """The message of a frame's body. Raises `BadFrame` where it is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a message is not JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("a message is not an object")
    return message
