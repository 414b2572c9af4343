"""Who may reach whom. Pure: a wall that is not there is told, and so is a way that jobs need and nobody found open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

PUBLIC, DOOR, EXCHANGE = 8400, 8402, 8410
"""Ports: of users, of sites, of one site for the other."""


@dataclass(frozen=True)
class Place:
    """A container. `addresses` are by network; `folders` are the engine's names of what is mounted in it.

    `site` and `pool` are empty for what belongs to none; `role` is a service's name, or what a pool's member is.
    """

    name: str
    role: str
    site: str = ""
    pool: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    folders: Sequence[str] = ()

    @property
    def is_agent(self) -> bool:
        """Whether it is what speaks for its site."""
        return self.role == self.site

    def is_beside(self, other: Place) -> bool:
        """Whether both are members of one pool."""
        return bool(self.pool) and (self.site, self.pool) == (other.site, other.pool)


@dataclass(frozen=True)
class Opened:
    """A connection that came about."""

    origin: Place
    target: Place
    network: str
    port: int

    @property
    def is_allowed(self) -> bool:
        """Users and agents reach the control plane, agents each other's exchange, members their own pool's."""
        if self.origin.pool or self.target.pool:
            return self.origin.is_beside(self.target)
        if self.target.role == "control":
            return self.origin.is_agent or self.origin.role == "client"
        agents = self.origin.is_agent and self.target.is_agent
        return agents and self.port == EXCHANGE and self.network.endswith("_exchange")


def judge(places: Sequence[Place], opened: Sequence[Opened], owners: Mapping[str, str]) -> list[str]:
    """What does not hold, in words. `owners` says whose a folder is, by how its path begins."""
    wrong = [
        f"{each.origin.name} opened {each.target.name}:{each.port} over {each.network}"
        for each in opened
        if not each.is_allowed
    ]
    wrong += [f"{way}: nobody got through, but jobs need it" for way in _needed(places) - _taken(opened)]
    wrong += [
        f"{place.name} has {folder}"
        for place in places
        for folder in place.folders
        if _is_strange(place, folder, owners)
    ]
    return sorted(wrong)


def _needed(places: Iterable[Place]) -> set[str]:
    """What must be open, or the looking proves nothing."""
    sites = sorted({place.site for place in places if place.site})
    needed = {_way("client", "", "control", PUBLIC)}
    needed |= {_way(site, site, "control", DOOR) for site in sites}
    needed |= {_way(site, site, other, EXCHANGE) for site in sites for other in sites if other != site}
    return needed | {_way("worker", site, "scheduler") for site in sites}


def _taken(opened: Iterable[Opened]) -> set[str]:
    ways = [(each.origin.role, each.origin.site, each.target.role) for each in opened]
    return {_way(*way) for way in ways} | {_way(*way, each.port) for way, each in zip(ways, opened, strict=True)}


def _way(role: str, site: str, target: str, port: int | None = None) -> str:
    origin = f"{role} of {site}" if site and role != site else role
    return f"from {origin} to {target}" + (f":{port}" if port else "")


def _is_strange(place: Place, folder: str, owners: Mapping[str, str]) -> bool:
    """Another site's folder, or the engine's socket where there is no launcher."""
    if folder.endswith(".sock"):
        return not place.role.endswith("-launcher")
    return any(folder.startswith(start) and owner != place.site for start, owner in owners.items())
