"""Two sites on a disk of their own, a launcher process that serves them, and each as its agent asks it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
from tests.integration.launching.inmate import Inmate

from datacanal.configuration import load_configuration
from datacanal.domain.errors import DatacanalError
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.doors import socket_of
from datacanal.site.launcher.labels import owner_labels
from datacanal.site.launcher.settings import LauncherSettings, SiteGround, launcher_settings
from datacanal.site.launcher.specification import ContainerSpecification, ContainerState, PoolNetwork

ROOT = Path(__file__).parents[3]
ENGINE = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
OWNER = os.geteuid() or 54_321
"""Of the home and the lake of `core`, and so who runs in its containers. Those of `crm` are the test's own."""
MIB = 2**20
START_S = 30
T = TypeVar("T")
_CONFIGURATION = """
home = "{home}"
[launcher]
docker_host = "{docker_host}"
images = {images}
{sites}
"""
_SITE = """
[[sites]]
name = "{name}"
control = "http://127.0.0.1:9"
exchange = "127.0.0.1:{port}"
[[sites.lakes]]
name = "{lake}"
url = "file://{folder}"
policy = "{lake}.policy.toml"
"""
LAKES = {"core": "payments", "crm": "users"}


def new_boot() -> str:
    return uuid.uuid4().hex


class Site:
    """What an agent of the site asks the launcher. Each boot has said hello."""

    def __init__(self, ground: SiteGround, socket: Path) -> None:
        self.ground = ground
        self.socket = socket
        self.boot = new_boot()
        self.inmates: list[Inmate] = []

    @property
    def owner(self) -> int:
        return self.ground.home.path.stat().st_uid

    @property
    def lake(self) -> Path:
        (folder,) = self.ground.lakes.values()
        return folder.path

    def ask(self, question: Callable[[LauncherClient], Awaitable[T]]) -> T:
        async def asked() -> T:
            async with LauncherClient(self.socket) as client:
                return await question(client)

        return asyncio.run(asked())

    def code_of(self, question: Callable[[LauncherClient], Awaitable[object]]) -> str:
        with pytest.raises(DatacanalError) as refusal:
            self.ask(question)
        return refusal.value.code

    def boots(self, *pools: str) -> None:
        """A new life, with networks for these pools."""
        self.boot = new_boot()
        self.ask(lambda client: client.hello(self.boot))
        for pool in pools:
            self.ask(lambda client, pool=pool: client.ensure_network(self.network(pool)))

    def network(self, pool: str) -> PoolNetwork:
        return PoolNetwork(pool=pool, boot=self.boot)

    def specification(self, name: str, **changed: Any) -> ContainerSpecification:
        """A small worker with all that a worker may have."""
        channel = changed.get("channel", name)
        owned(self.ground.home.path / "channels" / channel, self.owner)
        wanted = {
            "name": name,
            "role": "worker",
            "pool": "p1",
            "boot": self.boot,
            "memory_bytes": 128 * MIB,
            "cpus": 1,
            "lakes": list(self.ground.lakes),
            "stage": "s1",
            "scratch": True,
            "channel": channel,
            "tmp_bytes": MIB,
            "work_bytes": MIB,
            **changed,
        }
        return ContainerSpecification.model_validate_json(json.dumps(wanted))

    def listen(self, wanted: ContainerSpecification) -> Inmate:
        """Be there for the container when it starts."""
        inmate = Inmate(wanted.name, self.ground.home.path / "channels" / wanted.channel)
        self.inmates.append(inmate)
        return inmate

    def start(self, wanted: ContainerSpecification) -> ContainerState:
        return self.ask(lambda client: client.start(wanted))

    def put(self, name: str, **changed: Any) -> Inmate:
        """A container that does what it is told."""
        wanted = self.specification(name, **changed)
        inmate = self.listen(wanted)
        self.start(wanted)
        return inmate

    def leave(self) -> None:
        for inmate in self.inmates:
            inmate.leave()
        self.inmates.clear()


class Estate:
    """Sites `core` and `crm`; use it in a `with`. `launch` starts a launcher, which may be killed and started again."""

    def __init__(
        self, client: docker.DockerClient, docker_host: str = f"unix://{ENGINE}", images: Iterable[str] = ()
    ) -> None:
        self.client = client
        # Of a short name, for sockets lie in it.
        self.folder = Path(tempfile.mkdtemp(prefix="datacanal-")).resolve()
        self.folder.chmod(0o755)
        self.configuration = self.folder / "datacanal.toml"
        self._images = list(images)
        self.configure(docker_host)
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self.said: list[str] = []
        self.core, self.crm = [
            Site(ground, socket_of(self.settings.home, ground.name)) for ground in self.settings.sites
        ]

    def __enter__(self) -> Estate:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for site in (self.core, self.crm):
            site.leave()
        for container in self.containers(self.core, self.crm):
            container.remove(force=True, v=True)
        for network in self.networks(self.core, self.crm):
            network.remove()
        shutil.rmtree(self.folder)

    @property
    def settings(self) -> LauncherSettings:
        return launcher_settings(load_configuration(self.configuration))

    def containers(self, *sites: Site) -> list[Any]:
        """What the engine itself has of these sites, whatever its state."""
        return [found for site in sites for found in self.client.containers.list(all=True, filters=_of(site))]

    def networks(self, *sites: Site) -> list[Any]:
        return [found for site in sites for found in self.client.networks.list(filters=_of(site))]

    def inspected(self, site: Site, name: str) -> dict[str, Any]:
        """The engine's own account of a container."""
        (found,) = [each for each in self.containers(site) if each.labels["datacanal.name"] == name]
        return dict(self.client.api.inspect_container(found.id))

    def launch(self, command: Sequence[str] = ("-m", "tests.integration.launching.serve")) -> None:
        """Returns when both sites are served."""
        environment = {**os.environ, "DATACANAL_CANARY": "canary-of-the-launcher"}
        self._process = subprocess.Popen(
            [sys.executable, *command, str(self.configuration)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        ready = threading.Event()
        reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        reader.start()
        self._readers.append(reader)
        assert ready.wait(START_S), f"the launcher is not ready:\n{''.join(self.said)}"
        assert self._process.poll() is None, f"the launcher ended:\n{''.join(self.said)}"

    def kill(self) -> None:
        """As the kernel does it: without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator does it. Returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(START_S)
        for reader in self._readers:
            reader.join(START_S)
        self._readers.clear()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None
        return code

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        served = 0
        for line in process.stderr:
            self.said.append(line)
            served += '"launcher_serves"' in line
            if served == len(LAKES):
                ready.set()
        ready.set()

    def configure(self, docker_host: str) -> None:
        """Write the configuration, for a launcher that asks this engine."""
        sites = []
        for number, (name, lake) in enumerate(LAKES.items(), start=1):
            owner = OWNER if name == "core" else os.geteuid()
            folder = self.folder / "lakes" / lake
            owned(folder / "day", owner)
            owned_file(folder / "day" / "part.parquet", f"rows of {lake}", owner)
            for place in ("channels", "stages/s1", "scratch"):
                owned(self.folder / "state" / "sites" / name / place, owner)
            (self.folder / f"{lake}.policy.toml").write_text('default_class = "public"\n')
            sites.append(_SITE.format(name=name, lake=lake, folder=folder, port=8400 + number))
        home = self.folder / "state"
        self.configuration.write_text(
            _CONFIGURATION.format(
                home=home, docker_host=docker_host, images=json.dumps(self._images), sites="".join(sites)
            )
        )


def owned(folder: Path, owner: int) -> None:
    """A directory, and all that is made for it."""
    if not folder.exists():
        owned(folder.parent, owner)
        folder.mkdir(mode=0o755)
        os.chown(folder, owner, owner)


def owned_file(file: Path, content: str, owner: int = OWNER) -> None:
    file.write_text(content)
    os.chown(file, owner, owner)


def _of(site: Site) -> dict[str, list[str]]:
    return {"label": [f"{name}={value}" for name, value in owner_labels(site.ground).items()]}
