"""Where the members of a pool live: processes of this machine, or containers beside it."""

from __future__ import annotations

from typing import Literal, Protocol

from datacanal.site.fleet.member import Member

Role = Literal["scheduler", "runner", "worker"]


class House(Protocol):
    """One per pool. A life of the pool begins with `prepare` and ends, after its members, with `clear`."""

    async def prepare(self) -> None:
        """Make fresh ground: certificates, folders, networks. Raises a `DatacanalError` that says why it cannot."""
        ...

    async def start(self, role: Role, name: str) -> Member:
        """Start a member. Raises a `DatacanalError` that says why it cannot."""
        ...

    async def clear(self) -> None:
        """Remove what `prepare` made, as far as it is not wanted any more."""
        ...
