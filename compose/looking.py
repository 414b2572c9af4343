"""Asks every container what it offers and what it reaches, by a program run inside it (inside/probe.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import DockerException

from compose.project import HERE, SITES, Project
from compose.walls import Opened, Place
from datacanal.site.launcher.labels import Label

_PYTHON = "/opt/datacanal/bin/python"
_AT_ONCE = 4


class Looking:
    """One look at all containers that run; those that end meanwhile are left out."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._probe = (HERE / "inside" / "probe.py").read_text(encoding="utf-8")
        self.places = {place.name: place for place in self._all(self._place, project.running())}
        self.datasets: dict[str, list[str]] = dict(self._all(self._datasets, self.places.values()))

    def opened(self) -> list[Opened]:
        """Every connection that came about, from each container to everything that any other offers."""
        return [each for found in self._all(self._opened, self.places.values()) for each in found]

    def astray(self) -> list[str]:
        """Where datasets lie that are not of the container's site, in words."""
        own = {site: self.datasets.get(self._agent(site), []) for site in SITES}
        return [
            f"{name} has {', '.join(sorted(strange))}"
            for name, found in self.datasets.items()
            if (strange := set(found) - set(own.get(self.places[name].site, [])))
        ]

    def _agent(self, site: str) -> str:
        return next((place.name for place in self.places.values() if place.role == site), "")

    def doors(self, origin: Place) -> dict[str, Opened]:
        """What is tried from a container, by `host:port`."""
        return {
            f"{address}:{port}": Opened(origin, target, network, port)
            for target in self.places.values()
            if target is not origin
            for network, address in target.addresses.items()
            for port in target.ports
        }

    def _place(self, container: Any) -> Place:
        ports = self._ask(container.id, "listening")
        role = self._project.service_of(container) or container.labels[Label.ROLE]
        owner = role.removesuffix("-launcher")
        networks = container.attrs["NetworkSettings"]["Networks"]
        return Place(
            name=container.name,
            role=role,
            site=container.labels.get(Label.SITE) or (owner if owner in SITES else ""),
            pool=container.labels.get(Label.POOL, ""),
            addresses={network: each["IPAddress"] for network, each in networks.items() if each["IPAddress"]},
            ports=ports,
            folders=[mount["Source"] for mount in container.attrs["Mounts"]],
        )

    def _datasets(self, place: Place) -> tuple[str, list[str]]:
        return place.name, self._ask(place.name, "datasets")

    def _opened(self, origin: Place) -> list[Opened]:
        doors = self.doors(origin)
        return [doors[door] for door in self._ask(origin.name, "reach", *doors)]

    def _ask(self, container: str, *task: str) -> Any:
        code, out, err = self._project.tried(container, [_PYTHON, "-c", self._probe, *task])
        if code:
            raise _Ended(err)
        return json.loads(out)

    def _all(self, ask: Any, each: Any) -> Iterator[Any]:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            yield from (
                found for found in threads.map(lambda item: _unless_ended(ask, item), each) if found is not None
            )


class _Ended(Exception):
    """The container is not there any more."""


def _unless_ended(ask: Any, item: Any) -> Any:
    try:
        return ask(item)
    except (DockerException, _Ended):
        return None


def table(looking: Looking, opened: Sequence[Opened]) -> Iterator[str]:
    """A line for each container: what it reached, and which datasets lie in it."""
    for place in sorted(looking.places.values(), key=lambda place: (place.site, place.pool, place.role)):
        reached = sorted({_named(each) for each in opened if each.origin is place})
        name = "/".join(filter(None, (place.site, place.pool, place.role))) if place.pool else place.role
        yield f"  {name:<32} {', '.join(reached) or 'nothing':<44} {', '.join(looking.datasets[place.name]) or '-'}"


def _named(opened: Opened) -> str:
    target = opened.target
    return f"own {target.role}" if opened.origin.is_beside(target) else f"{target.role}:{opened.port}"
