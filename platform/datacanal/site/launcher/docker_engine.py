"""The engine is Docker: the only module that speaks to it, and the words of its failures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from ipaddress import IPv4Network
from threading import Lock
from types import MappingProxyType
from typing import Any

import docker
import docker.errors

from datacanal.domain.errors import ContainerEngineRefused, ContainerEngineUnreachable, ImageNotFound
from datacanal.site.launcher.engine import FoundContainer, FoundImage, FoundNetwork, NameTaken, Status, SubnetTaken

_TIMEOUT_S = 60.0
_GONE_WITHIN_S = 30.0
_LOOK_S = 0.05
_CONNECTIONS = 64
_LINES = 2000
_MOST_WORDS = 500
_NEVER = "0001-"
_MISSING, _CONFLICT = 404, 409
_CLOSED_BRIDGE = {
    "driver": "bridge",
    "internal": True,
    "enable_ipv6": False,
    # Without an address of its own, for `internal` alone leaves whatever this machine serves on it within reach.
    "options": {"com.docker.network.bridge.inhibit_ipv4": "true"},
}


class _Gone(Exception):
    """It is not there, or about to go."""


class DockerEngine:
    """Connects with the first call; an engine that was started again is found again."""

    def __init__(self, docker_host: str) -> None:
        self._docker_host = docker_host
        self._client: docker.APIClient | None = None
        self._connecting = Lock()

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    def image(self, image: str) -> FoundImage:
        """Raises `ContainerEngineRefused` for an image with volumes, which would be writable and without bounds."""
        with self._asked("look for the image", {_MISSING: ImageNotFound(image=image)}) as client:
            found = client.inspect_image(image)
        config = found.get("Config") or {}
        if config.get("Volumes"):
            raise ContainerEngineRefused(action=f"run {image}", reason="the image declares volumes")
        return FoundImage(str(found["Id"]), config.get("Labels") or {})

    def create(self, name: str, configuration: Mapping[str, Any]) -> str:
        with self._asked("create the container", {_CONFLICT: NameTaken()}) as client:
            return str(client.create_container_from_config(dict(configuration), name)["Id"])

    def start(self, container: str) -> None:
        with self._asked("start the container") as client:
            client.start(container)

    def remove(self, container: str) -> None:
        gone_at = time.monotonic() + _GONE_WITHIN_S
        while self._is_there(container):
            if time.monotonic() > gone_at:
                raise ContainerEngineRefused(action="remove the container", reason="it is still there")
            # In conflict with somebody else who removes it.
            with (
                suppress(_Gone),
                self._asked("remove the container", {_MISSING: _Gone(), _CONFLICT: _Gone()}) as client,
            ):
                client.remove_container(container, v=True, force=True)
            if self._is_there(container):
                time.sleep(_LOOK_S)

    def containers(self, labels: Mapping[str, str]) -> Sequence[FoundContainer]:
        with self._asked("list containers") as client:
            listed = client.containers(all=True, filters={"label": _chosen(labels)})
        found = [self._inspected(item["Id"]) for item in listed]
        return [_container(item) for item in found if item is not None]

    def logs(self, container: str, most_bytes: int) -> bytes:
        with suppress(_Gone), self._asked("read what the container said", {_MISSING: _Gone()}) as client:
            return bytes(client.logs(container, stdout=True, stderr=True, tail=_LINES))[-most_bytes:]
        return b""

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        ipam = {"Driver": "default", "Config": [{"Subnet": str(subnet)}]}
        with self._asked("create the network") as client:
            try:
                made = client.create_network(
                    name, ipam=ipam, labels=dict(labels), check_duplicate=True, **_CLOSED_BRIDGE
                )
            except docker.errors.APIError as error:
                if "overlap" in str(error.explanation):
                    raise SubnetTaken from None
                raise
        return str(made["Id"])

    def networks(self, labels: Mapping[str, str]) -> Sequence[FoundNetwork]:
        with self._asked("list networks") as client:
            listed = client.networks(filters={"label": _chosen(labels)})
        return [FoundNetwork(item["Id"], item["Labels"] or {}) for item in listed]

    def remove_network(self, network: str) -> None:
        with suppress(_Gone), self._asked("remove the network", {_MISSING: _Gone()}) as client:
            client.remove_network(network)

    def subnets(self) -> Sequence[IPv4Network]:
        with self._asked("list networks") as client:
            configs = [config for item in client.networks() for config in item["IPAM"]["Config"] or []]
        return [IPv4Network(config["Subnet"]) for config in configs if ":" not in config["Subnet"]]

    def endings(self, labels: Mapping[str, str]) -> Iterator[str]:
        filters = {"type": "container", "event": ["die", "destroy"], "label": _chosen(labels)}
        with self._asked("tell what happens") as client, closing(client.events(decode=True, filters=filters)) as events:
            yield from (str(event["Actor"]["ID"]) for event in events)

    def _is_there(self, container: str) -> bool:
        return self._inspected(container) is not None

    def _inspected(self, container: str) -> dict[str, Any] | None:
        with suppress(_Gone), self._asked("look at a container", {_MISSING: _Gone()}) as client:
            return dict(client.inspect_container(container))
        return None

    @contextmanager
    def _asked(
        self, action: str, instead: Mapping[int, Exception] = MappingProxyType({})
    ) -> Iterator[docker.APIClient]:
        """The client; its failures become ours. `instead` has for a status what to raise."""
        try:
            yield self._connected()
        except docker.errors.APIError as error:
            refused = ContainerEngineRefused(action=action, reason=_words(error))
            raise instead.get(error.status_code, refused) from None
        except (docker.errors.DockerException, OSError) as error:  # what the transport raises is an OSError
            raise ContainerEngineUnreachable(docker_host=self._docker_host, reason=_words(error)) from None

    def _connected(self) -> docker.APIClient:
        with self._connecting:
            if self._client is None:
                client = docker.APIClient(
                    self._docker_host, version="auto", timeout=_TIMEOUT_S, max_pool_size=_CONNECTIONS
                )
                _check_seccomp(client)
                self._client = client
            return self._client


def _check_seccomp(client: docker.APIClient) -> None:
    """A container gets the engine's default profile; one that has none does not harden."""
    options = client.info().get("SecurityOptions") or []
    profile = next((option for option in options if option.startswith("name=seccomp")), None)
    if profile is None or "unconfined" in profile:
        client.close()
        raise ContainerEngineRefused(action="promise isolation", reason="it runs containers without a seccomp profile")


def _words(error: Exception) -> str:
    words = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return (words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words))[:_MOST_WORDS]


def _chosen(labels: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _container(inspected: Mapping[str, Any]) -> FoundContainer:
    state = inspected["State"]
    status: Status = "running" if state["Running"] else "created" if state["Status"] == "created" else "ended"
    return FoundContainer(
        id=inspected["Id"],
        labels=inspected["Config"]["Labels"] or {},
        status=status,
        exit_code=state["ExitCode"] if status == "ended" else None,
        oom_killed=state["OOMKilled"],
        image=inspected["Image"],
        created_at=datetime.fromisoformat(inspected["Created"]),
        started_at=_moment(state["StartedAt"]),
        finished_at=_moment(state["FinishedAt"]),
    )


def _moment(text: str) -> datetime | None:
    return None if text.startswith(_NEVER) else datetime.fromisoformat(text)
