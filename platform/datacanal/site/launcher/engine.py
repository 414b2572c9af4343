"""The port to a container engine, as the launcher needs it. Every call blocks and may come from several threads.

Every call may raise `ContainerEngineUnreachable` or `ContainerEngineRefused` (with the engine's own words).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any, Literal, Protocol

Status = Literal["created", "running", "ended"]


@dataclass(frozen=True)
class FoundContainer:
    """A container as it was a moment ago."""

    id: str
    labels: Mapping[str, str]
    status: Status
    exit_code: int | None
    oom_killed: bool
    image: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class FoundNetwork:
    """A network as it was a moment ago."""

    id: str
    labels: Mapping[str, str]


class NameTaken(Exception):
    """A container of that name exists."""


@dataclass(frozen=True)
class FoundImage:
    """`id` is `sha256:…`."""

    id: str
    labels: Mapping[str, str]


class SubnetTaken(Exception):
    """Another network has some of these addresses."""


class Engine(Protocol):
    """What the launcher asks of an engine."""

    def image(self, image: str) -> FoundImage:
        """An image that is there. Raises `ImageNotFound`, `ContainerEngineRefused`."""
        ...

    def create(self, name: str, configuration: Mapping[str, Any]) -> str:
        """The id of the new container, which is not started yet. Raises `NameTaken`."""
        ...

    def start(self, container: str) -> None:
        """Start it; one that runs already stays."""
        ...

    def remove(self, container: str) -> None:
        """Kill it and wait until it is gone; one that is gone already stays so."""
        ...

    def containers(self, labels: Mapping[str, str]) -> Sequence[FoundContainer]:
        """All with these labels, whatever their state."""
        ...

    def logs(self, container: str, most_bytes: int) -> bytes:
        """The end of what it said."""
        ...

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        """The id of a new network of which nothing leads out, not even to this machine. Raises `SubnetTaken`."""
        ...

    def networks(self, labels: Mapping[str, str]) -> Sequence[FoundNetwork]:
        """All with these labels."""
        ...

    def remove_network(self, network: str) -> None:
        """Remove it; one that is gone already stays so."""
        ...

    def subnets(self) -> Sequence[IPv4Network]:
        """The addresses of all networks of the engine, whoever made them."""
        ...

    def endings(self, labels: Mapping[str, str]) -> Iterator[str]:
        """Ids of containers with these labels whenever one ends or is removed, without an end."""
        ...
