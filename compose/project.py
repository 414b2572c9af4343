"""One run of compose.yaml: brought up under a name of its own, looked into, taken down with all that it made."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import docker
from docker.errors import DockerException

from compose.failures import CannotRun
from datacanal.site.launcher.labels import Label
from datacanal.site.launcher.settings import scope_of

HERE = Path(__file__).parent
SITES = {"core": "transactions", "people": "users"}
"""The lake of each site."""
OF_US = 65532
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_UP_WITHIN_S = 120
_DOWN_WITHIN_S = 90
_ANSWERS_WITHIN_S = 120.0
_LOOK_S = 0.5
_LAST_LINES = 15
_SOCKET = "/var/run/docker.sock"


class Project:
    """Everything in the engine whose name begins with the project's, and what its launchers made."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = compose_command()
        socket = socket_in(environment)
        try:
            self.engine: Any = docker.from_env()
            self._volumes = Path(self.engine.info()["DockerRootDir"], "volumes")
        except DockerException as error:
            raise CannotRun(
                f"No Docker engine answers ({error}).", "Start one, or set DOCKER_HOST to its socket."
            ) from error
        self._homes = [self._volumes / f"{name}-{site}-home" / "_data" for site in SITES]
        # Compose 1 is a Python program itself, with a package of this one's name.
        own = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
        tag = environment.get("IMAGE_TAG", "latest")
        self._environment = {
            "DATACANAL_SERVER": f"datacanal-server:{tag}",
            "DATACANAL_WORKER": f"datacanal-worker:{tag}",
            "DATACANAL_LISTEN": "127.0.0.1:",  # any port that is free
            **own,
            "DATACANAL_NAME": name,
            "DATACANAL_VOLUMES": str(self._volumes),
            "DOCKER_SOCKET": str(socket),
            "DOCKER_GID": str(socket.stat().st_gid),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.engine.close()

    # ------------------------------------------------------------ up and down

    def up(self, *services: str) -> None:
        """Start them with what they depend on, or all. Raises `CannotRun` with what compose said."""
        self._compose(_UP_WITHIN_S, "up", "--detach", *services)

    def down(self) -> list[str]:
        """Stop and remove it all; gives the names of what is left nevertheless."""
        with suppress(CannotRun):  # what it could not remove is told below
            self._compose(_DOWN_WITHIN_S, "down", "--volumes", "--remove-orphans")
        for container in self.boxes():
            container.remove(force=True, v=True)
        for network in self._pool_networks():
            network.remove()
        volumes = self.engine.volumes.list(filters={"name": f"{self.name}-"})
        return [each.name for each in (*self.services(), *self.boxes(), *self.networks(), *volumes)]

    def _compose(self, within_s: float, *arguments: str) -> None:
        command = [*self._command, "--project-name", self.name, "--file", str(HERE / "compose.yaml"), *arguments]
        try:
            done = subprocess.run(
                command, env=self._environment, capture_output=True, text=True, check=False, timeout=within_s
            )
        except subprocess.TimeoutExpired:
            raise CannotRun(
                f"`compose {arguments[0]}` took longer than {within_s} s.", "See the engine's log."
            ) from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if not line.startswith("Creating ")][-_LAST_LINES:]
            words = "\n".join([*said, *self._last_words()])
            raise CannotRun(
                f"`compose {arguments[0]}` ended with {done.returncode}:\n{words}", "Correct what it names."
            )

    def _last_words(self) -> Iterator[str]:
        """Of the services that ended in failure."""
        for container in self.services():
            if container.status == "exited" and container.attrs["State"]["ExitCode"]:
                yield f"{container.labels[_SERVICE]} said:\n{self.words_of(container.labels[_SERVICE])}"

    # ------------------------------------------------------------ what there is

    def services(self) -> list[Any]:
        """The containers of compose.yaml, ended ones too."""
        return self._containers(f"{_PROJECT}={self.name}")

    def boxes(self) -> list[Any]:
        """The containers that the launchers made."""
        return [box for scope in self._scopes() for box in self._containers(scope)]

    def networks(self) -> list[Any]:
        """Those of compose.yaml and those of the pools."""
        own = self.engine.networks.list(filters={"label": f"{_PROJECT}={self.name}"})
        return [*own, *self._pool_networks()]

    def running(self) -> list[Any]:
        """All containers that run."""
        return [each for each in (*self.services(), *self.boxes()) if each.status == "running"]

    def service_of(self, container: Any) -> str:
        """Its name in compose.yaml; empty for what a launcher made."""
        return str(container.labels.get(_SERVICE, ""))

    def owners(self) -> dict[str, str]:
        """Whose the folders of the volumes are, by how their paths begin."""
        return {str(self._volumes / f"{self.name}-{site}-"): site for site in SITES}

    def words_of(self, service: str) -> str:
        """The last lines of what it said."""
        return str(self.container(service).logs(tail=_LAST_LINES).decode("utf-8", "replace"))

    def _pool_networks(self) -> list[Any]:
        return [net for scope in self._scopes() for net in self.engine.networks.list(filters={"label": scope})]

    def _scopes(self) -> list[str]:
        homes = zip(SITES, self._homes, strict=True)
        return [f"{Label.SCOPE.value}={scope_of(home / 'sites' / site)}" for site, home in homes]

    def _containers(self, label: str) -> list[Any]:
        return list(self.engine.containers.list(all=True, filters={"label": label}, ignore_removed=True))

    def container(self, service: str) -> Any:
        """That of a service. Raises `CannotRun` where there is none."""
        found = [each for each in self.services() if each.labels[_SERVICE] == service]
        if not found:
            raise CannotRun(f"The service {service} has no container.", "See what `compose up` said.")
        return found[0]

    # ------------------------------------------------------------ looking in

    def run(self, service: str, command: Sequence[str], **environment: str) -> str:
        """What a command prints in the service's container. Raises `CannotRun` where it fails."""
        code, out, err = self.tried(self.container(service).id, command, environment)
        if code:
            words = f"{err}{self.words_of(service)}"
            raise CannotRun(f"`{' '.join(command)}` in {service} ended with {code}:\n{words}", "See above.")
        return out

    def tried(
        self, container: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Exit code, what it printed, and its complaints, of a command in any container."""
        code, (out, err) = self.engine.containers.get(container).exec_run(
            list(command), demux=True, environment=dict(environment or {})
        )
        return code, (out or b"").decode(), (err or b"").decode("utf-8", "replace")

    def put(self, service: str, file: Path, content: str) -> None:
        """Write a file into a volume of the service, for its user only."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            entry = tarfile.TarInfo(file.name)
            entry.uid = entry.gid = OF_US
            entry.mode, entry.size = 0o600, len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
        self.container(service).put_archive(str(file.parent), tar.getvalue())

    def wait_until_healthy(self, *services: str) -> None:
        """Each answers what it is there for. Raises `CannotRun` with its last words where one does not."""
        until_s = time.monotonic() + _ANSWERS_WITHIN_S
        for service in services:
            test = self.container(service).attrs["Config"]["Healthcheck"]["Test"][1:]
            while not self._answers(service, test):
                if time.monotonic() > until_s:
                    raise CannotRun(f"{service} does not answer:\n{self.words_of(service)}", "See its words above.")
                time.sleep(_LOOK_S)

    def _answers(self, service: str, test: Sequence[str]) -> bool:
        try:
            return self.tried(self.container(service).id, test)[0] == 0
        except DockerException:  # it is being started again
            return False


def socket_in(environment: Mapping[str, str]) -> Path:
    """The engine's, which launchers are given. Raises `CannotRun` where it has none on this machine."""
    named = environment.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    socket = Path(named.removeprefix("unix://"))
    if not socket.is_absolute() or not socket.exists():
        raise CannotRun(
            f"There is no engine's socket at {named}.",
            "Start the engine (`.ci/engine` as root does), or name its socket: DOCKER_HOST=unix:///…",
        )
    return socket


def compose_command() -> list[str]:
    """Of this machine: the engine's own command, or the program of its own. Raises `CannotRun` where there is none."""
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, env=os.environ)
        if asked.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise CannotRun(
        "Neither `docker compose` nor `docker-compose` is on this machine.",
        "Install one; on Debian: apt-get install docker-compose",
    )
