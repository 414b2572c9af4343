"""What the agent and a container agree on: where they meet, and what the container is told first."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from pydantic import Field

from datacanal.protocol.base import Document

DOOR = Path("/run/datacanal/agent")
"""The socket in the container's own folder."""
HOME = Path("/work")
"""The container's own tmpfs."""
RESULT = "DATACANAL_RESULT"
"""The environment variable that holds the descriptor of a driver's result line."""


class Line(Enum):
    """A connection, by its first byte."""

    REQUESTS = b"i"
    REPLIES = b"o"
    WORDS = b"w"
    LIFE = b"l"
    RESULT = b"r"


def lines_of(role: str) -> frozenset[Line]:
    """The connections that a container of that role makes: only a driver has a result that is no frame."""
    return frozenset(Line) if role == "driver" else frozenset(Line) - {Line.RESULT}


class Assignment(Document):
    """The first frame that a container is sent."""

    arguments: list[str] = Field(description="of its role's module")
    files: dict[str, str] = Field(default_factory=dict, description="content by path below the container's home")
