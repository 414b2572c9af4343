"""What the attempts of a job said, as their site releases it to a person who may read it."""

from __future__ import annotations

from pydantic import Field

from datacanal.protocol.base import Document
from datacanal.protocol.problem import Problem


class AttemptWords(Document):
    """The words of one attempt, or why they stay at the site."""

    step: str
    fence: int
    said: str = ""
    cut: bool = Field(default=False, description="there is more, which stays at the site")
    kept: Problem | None = None


class SiteWords(Document):
    """All attempts of the job at one site that said anything."""

    attempts: list[AttemptWords]
