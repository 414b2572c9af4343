"""What one site may do with the engine: its containers and networks, and nobody else's. Every method blocks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import IPv4Network
from threading import Lock
from typing import Any

import structlog
from pydantic import ValidationError

from datacanal.domain.errors import (
    BootSuperseded,
    ContainerDiffers,
    ContainerEngineRefused,
    NoSubnetLeft,
    NotFound,
)
from datacanal.protocol.plan import PythonEnvironment
from datacanal.site.launcher.boots import Boots
from datacanal.site.launcher.engine import Engine, FoundContainer, FoundNetwork, NameTaken, SubnetTaken
from datacanal.site.launcher.folders import check_folders
from datacanal.site.launcher.hardening import Surroundings, chosen_image, digest_of_specification, hardened, mounts_of
from datacanal.site.launcher.labels import Label, engine_name, labels_of, owner_labels
from datacanal.site.launcher.locks import Locks
from datacanal.site.launcher.settings import LauncherSettings, SiteGround, User
from datacanal.site.launcher.specification import ContainerSpecification, ContainerState, ImageState, PoolNetwork
from datacanal.site.launcher.subnets import free_subnets

MOST_LOG_BYTES = 64 * 1024
_AT_ONCE = 8
_log = structlog.get_logger()

Routes = Callable[[], Sequence[IPv4Network]]
Shut = Callable[[str], str]
"""Shuts the bridge of the network with this id, and says why it may be open still."""


class Household:
    """One site's part of the engine.

    Whatever it asks the engine carries the site's labels, so it neither sees nor touches anything else. What is done
    under one name is done one after the other; different names go side by side.
    """

    def __init__(
        self,
        site: SiteGround,
        user: User,
        settings: LauncherSettings,
        engine: Engine,
        boots: Boots,
        routes: Routes,
        shut: Shut,
    ) -> None:
        self.site = site
        self.engine = engine
        self._user = user
        self._settings = settings
        self._boots = boots
        self._routes = routes
        self._shut = shut
        self._locks = Locks()
        self._choosing_subnet = Lock()
        self._ensured_at: dict[str, datetime] = {}

    def newest_boot(self) -> str | None:
        """Of the site's agent."""
        return self._boots.newest(self.site.name)

    def hello(self, boot: str) -> None:
        """From now on only this boot may start anything; what others left is gone when this returns."""
        self._boots.remember(self.site.name, boot)
        self.remove_all([found for found in self.containers() if found.labels.get(Label.BOOT) != boot])
        for network in self.networks():
            if network.labels.get(Label.BOOT) != boot:
                self.engine.remove_network(network.id)

    def ensure_network(self, wanted: PoolNetwork) -> None:
        """Make the pool's network unless it is there. Raises `BootSuperseded`, `ContainerDiffers`, `NoSubnetLeft`."""
        self._check_boot(wanted.boot)
        with self._locks.held(f"network {wanted.pool}"):
            self._ensured_at[wanted.pool] = datetime.now(UTC)
            network = self._ensure_made(wanted)
            if reason := self._shut(network):
                _log.warning("bridge_open", site=self.site.name, pool=wanted.pool, reason=reason)

    def remove_network(self, pool: str) -> None:
        """Nothing where it is gone already."""
        with self._locks.held(f"network {pool}"):
            self._ensured_at.pop(pool, None)
            if (found := self._network(pool)) is not None:
                self.engine.remove_network(found.id)

    def ensured_at(self, pool: str) -> datetime | None:
        """When the pool's network was last asked for."""
        return self._ensured_at.get(pool)

    def start(self, wanted: ContainerSpecification) -> ContainerState:
        """Make sure that this container was started; one that has ended since is not started again.

        Raises `BootSuperseded`, `ContainerRefused`, `ContainerDiffers`, `ImageNotFound`, or `NotFound` for its lake or
        its pool's network.
        """
        self._check_boot(wanted.boot)
        with self._locks.held(f"container {wanted.name}"):
            container = self._ensure_created(wanted)
            if container.status == "created":
                self._start(container)
            if self.newest_boot() != wanted.boot:  # a hello went by while it was being made
                self.engine.remove(container.id)
                self._check_boot(wanted.boot)
        return self.state(wanted.name)

    def image(self, named: str | None) -> ImageState:
        """The one of that id; None: the one that containers get. Raises `ContainerRefused`, `ImageNotFound`."""
        found = self.engine.image(chosen_image(named, self.site, self._settings))
        label = found.labels.get(Label.ENVIRONMENT)
        return ImageState(id=found.id, environment=None if label is None else _environment(label))

    def state(self, name: str) -> ContainerState:
        """Raises `NotFound`."""
        return state_of(self.container(name))

    def container(self, name: str) -> FoundContainer:
        """Raises `NotFound`."""
        found = self._found(name)
        if found is None:
            raise NotFound(what="container", name=name)
        return found

    def containers(self) -> Sequence[FoundContainer]:
        """All of the site."""
        return self.engine.containers(owner_labels(self.site))

    def networks(self) -> Sequence[FoundNetwork]:
        """All of the site."""
        return self.engine.networks(owner_labels(self.site))

    def logs(self, name: str) -> str:
        """The end of what it said. Raises `NotFound`."""
        return self.engine.logs(self.container(name).id, MOST_LOG_BYTES).decode("utf-8", "replace")

    def remove(self, name: str) -> None:
        """It is gone when this returns, whether it was there or not."""
        with self._locks.held(f"container {name}"):
            if (found := self._found(name)) is not None:
                self.engine.remove(found.id)

    def remove_all(self, containers: Iterable[FoundContainer]) -> None:
        """Side by side."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for _ in threads.map(self.engine.remove, [found.id for found in containers]):
                pass

    def _check_boot(self, boot: str) -> None:
        if self.newest_boot() != boot:
            raise BootSuperseded(site=self.site.name, boot=boot)

    def _found(self, name: str) -> FoundContainer | None:
        return next(iter(self.engine.containers({**owner_labels(self.site), Label.NAME: name})), None)

    def _network(self, pool: str) -> FoundNetwork | None:
        return next(iter(self.engine.networks({**owner_labels(self.site), Label.POOL: pool})), None)

    def _ensure_made(self, wanted: PoolNetwork) -> str:
        found = self._network(wanted.pool)
        if found is None:
            made = self._make_network(wanted)
            if self.newest_boot() != wanted.boot:  # a hello went by while it was being made
                self.engine.remove_network(made)
                self._check_boot(wanted.boot)
            return made
        if found.labels.get(Label.BOOT) != wanted.boot:
            raise ContainerDiffers(site=self.site.name, what="network", name=wanted.pool)
        return found.id

    def _make_network(self, wanted: PoolNetwork) -> str:
        labels = labels_of(self.site, pool=wanted.pool, boot=wanted.boot)
        name = engine_name(self.site, wanted.pool)
        # One after the other, for two that choose at once would choose the same.
        with self._choosing_subnet:
            taken = [*self.engine.subnets(), *self._routes()]
            for subnet in free_subnets(self._settings.subnets, taken, zlib.crc32(name.encode())):
                try:
                    return self.engine.create_network(name, subnet, labels)
                except SubnetTaken:
                    continue
        raise NoSubnetLeft(pool=wanted.pool, subnets=str(self._settings.subnets))

    def _ensure_created(self, wanted: ContainerSpecification) -> FoundContainer:
        if self._found(wanted.name) is None:
            try:
                self.engine.create(engine_name(self.site, wanted.name), self._configured(wanted))
            except NameTaken:
                raise ContainerDiffers(site=self.site.name, what="container", name=wanted.name) from None
        found = self.container(wanted.name)
        if found.labels.get(Label.SPECIFICATION) != digest_of_specification(wanted):
            raise ContainerDiffers(site=self.site.name, what="container", name=wanted.name)
        return found

    def _configured(self, wanted: ContainerSpecification) -> dict[str, Any]:
        check_folders(mounts_of(wanted, self.site), self.site.name)
        image = self.engine.image(chosen_image(wanted.image, self.site, self._settings)).id
        network = self._network(wanted.pool)
        if network is None or network.labels.get(Label.BOOT) != wanted.boot:
            raise NotFound(what="network of a pool", name=wanted.pool)
        return hardened(wanted, self.site, self._settings, Surroundings(self._user, image, network.id))

    def _start(self, container: FoundContainer) -> None:
        try:
            self.engine.start(container.id)
        except ContainerEngineRefused:
            self.engine.remove(container.id)
            raise
        _log.info("container_started", site=self.site.name, container=container.labels[Label.NAME])


def state_of(found: FoundContainer) -> ContainerState:
    """As the site is told."""
    return ContainerState(
        name=found.labels[Label.NAME],
        role=found.labels[Label.ROLE],
        pool=found.labels[Label.POOL],
        running=found.status == "running",
        exit_code=found.exit_code,
        oom_killed=found.oom_killed,
        image=found.image,
        started_at=found.started_at,
    )


def _environment(label: str) -> PythonEnvironment | None:
    """None for a label that was not made by `make images`."""
    try:
        return PythonEnvironment.model_validate_json(label)
    except ValidationError:
        return None
