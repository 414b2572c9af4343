"""An engine without containers, for tests of what uses one. It keeps the contract of `engine_contract`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Network
from queue import SimpleQueue
from threading import Lock
from typing import Any

from datacanal.domain.errors import ContainerEngineRefused, ContainerEngineUnreachable, ImageNotFound
from datacanal.site.launcher.engine import FoundContainer, FoundImage, FoundNetwork, NameTaken, SubnetTaken


@dataclass
class _Network:
    found: FoundNetwork
    subnet: IPv4Network


@dataclass
class FakeEngine:
    """Holds `images` by name. `on_start` runs in each start; `configurations` has what containers were made of."""

    now: Callable[[], datetime]
    images: dict[str, str] = field(default_factory=dict)
    on_start: Callable[[str], None] = lambda _container: None
    configurations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    image_labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._names: dict[str, str] = {}
        self._containers: dict[str, FoundContainer] = {}
        self._networks: dict[str, _Network] = {}
        self._network_names: dict[str, str] = {}
        self._listening: list[tuple[Mapping[str, str], SimpleQueue[str]]] = []
        self._made = 0

    def image(self, image: str) -> FoundImage:
        if image in self.images.values():
            return FoundImage(image, self.image_labels)
        if image not in self.images:
            raise ImageNotFound(image=image)
        return FoundImage(self.images[image], self.image_labels)

    def create(self, name: str, configuration: Mapping[str, Any]) -> str:
        with self._lock:
            if name in self._names.values():
                raise NameTaken
            container = self._new_id()
            self._names[container] = name
            self.configurations[name] = configuration
            self._containers[container] = FoundContainer(
                id=container,
                labels={str(label): value for label, value in configuration["Labels"].items()},
                status="created",
                exit_code=None,
                oom_killed=False,
                image=str(configuration.get("Image", "")),
                created_at=self.now(),
                started_at=None,
                finished_at=None,
            )
            return container

    def start(self, container: str) -> None:
        self.on_start(container)
        with self._lock:
            found = self._containers[container]
            self._containers[container] = replace(found, status="running", started_at=found.started_at or self.now())

    def end(self, container: str, exit_code: int) -> None:
        """The container's process ends by itself."""
        with self._lock:
            found = self._containers[container]
            self._containers[container] = replace(found, status="ended", exit_code=exit_code, finished_at=self.now())
        self._tell(found)

    def remove(self, container: str) -> None:
        with self._lock:
            self._names.pop(container, None)
            found = self._containers.pop(container, None)
        if found is not None:
            self._tell(found)

    def containers(self, labels: Mapping[str, str]) -> Sequence[FoundContainer]:
        with self._lock:
            return [found for found in self._containers.values() if labels.items() <= found.labels.items()]

    def logs(self, container: str, most_bytes: int) -> bytes:
        return f"{self._names[container]} said this".encode()[-most_bytes:]

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        with self._lock:
            if name in self._network_names:
                raise ContainerEngineRefused(action="create the network", reason=f"network {name} exists")
            if any(subnet.overlaps(network.subnet) for network in self._networks.values()):
                raise SubnetTaken
            network = self._new_id()
            self._network_names[name] = network
            kept = {str(label): value for label, value in labels.items()}
            self._networks[network] = _Network(FoundNetwork(network, kept), subnet)
            return network

    def networks(self, labels: Mapping[str, str]) -> Sequence[FoundNetwork]:
        with self._lock:
            found = [network.found for network in self._networks.values()]
        return [network for network in found if labels.items() <= network.labels.items()]

    def remove_network(self, network: str) -> None:
        with self._lock:
            self._networks.pop(network, None)
            self._network_names = {name: kept for name, kept in self._network_names.items() if kept != network}

    def subnets(self) -> Sequence[IPv4Network]:
        with self._lock:
            return [network.subnet for network in self._networks.values()]

    def endings(self, labels: Mapping[str, str]) -> Iterator[str]:
        told: SimpleQueue[str] = SimpleQueue()
        self._listening.append((labels, told))
        while True:
            yield told.get()

    def _tell(self, found: FoundContainer) -> None:
        for labels, told in self._listening:
            if labels.items() <= found.labels.items():
                told.put(found.id)

    def _new_id(self) -> str:
        self._made += 1
        return hashlib.sha256(str(self._made).encode()).hexdigest()


class EngineThatIsAway(FakeEngine):
    """Nothing answers at its address."""

    def containers(self, labels: Mapping[str, str]) -> Sequence[FoundContainer]:  # noqa: ARG002  # whatever is asked
        raise ContainerEngineUnreachable(docker_host="unix:///nowhere.sock", reason="no such file")


class EngineThatStartsNothing(FakeEngine):
    """It creates containers, but no process in them."""

    def start(self, container: str) -> None:  # noqa: ARG002  # as above
        raise ContainerEngineRefused(action="start the container", reason="exec: no such file")


class EngineWhoseSubnetsAreTaken(FakeEngine):
    """Networks that it does not list have the addresses of `hidden`."""

    hidden: IPv4Network = IPv4Network("10.213.0.0/17")

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        if subnet.overlaps(self.hidden):
            raise SubnetTaken
        return super().create_network(name, subnet, labels)
