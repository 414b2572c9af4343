"""What a schedule needs of whoever makes versions of products."""

from __future__ import annotations

from typing import Protocol

from datacanal.domain.access import Principal
from datacanal.protocol.problem import Problem


class Publisher(Protocol):
    """Makes a version of a product from a job that succeeded."""

    async def publish(self, owner: Principal, product: str, job_id: str, *, promote: bool, schedule: str) -> str:
        """Begin a version in the owner's name; gives its snapshot. The same product and job give the same one again."""
        ...

    async def outcome(self, snapshot: str) -> Problem | None:
        """Wait until the version is decided; None where it was staged, or promoted if that was asked for."""
        ...
