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


class Line(Enum):
    """A connection, by its first byte."""

    REQUESTS = b"i"
    REPLIES = b"o"
    WORDS = b"w"
    LIFE = b"l"


class Assignment(Document):
    """The first frame that a container is sent."""

    arguments: list[str] = Field(description="of its role's module")
    files: dict[str, str] = Field(default_factory=dict, description="content by path below the container's home")
