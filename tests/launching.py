"""A real launcher with one site, and pools of containers on it, for tests marked `docker`."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from tests.image_names import WORKER

from datacanal.configuration import load_configuration
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fleet.docker import DockerPool, Neighbourhood
from datacanal.site.fleet.life import PACE, Pace
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.labels import Label
from datacanal.site.launcher.settings import launcher_settings, launcher_socket
from datacanal.testing.pool_contract import Ground, until

SITE = "core"
LAKE = "transactions"
_CONFIGURATION = f"""\
home = "state"
launcher = {{ image = "{WORKER}" }}
[control]
[[sites]]
name = "core"
control = "http://127.0.0.1:8400"
exchange = "127.0.0.1:8410"
pool = {{ backend = "docker" }}
[[sites.lakes]]
name = "transactions"
url = "lake"
policy = "transactions.policy.toml"
"""


@dataclass
class Launched:
    """A launcher as a process of its own. `kill` and `start` again as often as wanted."""

    root: Path
    client: docker.DockerClient
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.root / "datacanal.toml"

    @property
    def home(self) -> Path:
        """The site's."""
        return self.root / "state" / "sites" / SITE

    @property
    def socket(self) -> Path:
        return launcher_socket(load_configuration(self.config), SITE)

    @property
    def shape(self) -> PoolShape:
        """One worker of 640 MiB over the lake."""
        return PoolShape(
            workers=1,
            threads=1,
            memory_bytes=640 * 2**20,
            readable=[str(self.root / "lake")],
            scratch=str(self.home / "scratch"),
        )

    def lay_out(self) -> None:
        (self.root / "lake").mkdir()
        (self.home / "scratch").mkdir(parents=True)
        (self.root / "transactions.policy.toml").write_text('default_class = "public"\n')
        self.config.write_text(_CONFIGURATION)

    def start(self, log: IO[bytes] | None = None) -> None:
        command = [sys.executable, "-m", "datacanal.cli", "serve", "launcher", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stderr=log or subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def boxes(self) -> Boxes:
        return Boxes(self.config, self.client)


@dataclass
class Boxes:
    """What the engine has of a configuration's sites: of these homes, not of others with the same names."""

    config: Path
    client: docker.DockerClient

    def containers(self, role: str = "", site: str = "") -> list[docker.models.containers.Container]:
        """Ended ones too."""
        more = {Label.ROLE: role, Label.SITE: site}
        chosen = [f"{label.value}={value}" for label, value in more.items() if value]
        return [
            container
            for scope in self._scopes()
            for container in self.client.containers.list(
                all=True, filters={"label": [scope, *chosen]}, ignore_removed=True
            )
        ]

    def networks(self) -> list[docker.models.networks.Network]:
        return [net for scope in self._scopes() for net in self.client.networks.list(filters={"label": scope})]

    def _scopes(self) -> list[str]:
        sites = launcher_settings(load_configuration(self.config)).sites
        return [f"{Label.SCOPE.value}={site.scope}" for site in sites]


@contextmanager
def launched(root: Path) -> Iterator[Launched]:
    """It runs, and afterwards neither it nor anything that it made is left."""
    with closing(docker.from_env()) as client:
        ground = Launched(root, client)
        ground.lay_out()
        ground.start()
        try:
            yield ground
        finally:
            ground.kill()
            for container in ground.boxes.containers():
                container.remove(force=True, v=True)
            for network in ground.boxes.networks():
                network.remove()


@asynccontextmanager
async def docker_pool(
    ground: Launched, shape: PoolShape | None = None, pace: Pace = PACE
) -> AsyncIterator[tuple[DockerPool, Ground]]:
    """A pool of containers that is started, and stopped at the end."""
    await until(ground.socket.exists)
    shape = shape or ground.shape
    async with LauncherClient(ground.socket) as launcher:
        around = Neighbourhood(ground.home, launcher, boot=secrets.token_hex(8))
        pool = DockerPool(shape, around, [LAKE], express_s=1, pace=pace)
        await asyncio.wait_for(pool.ensure_started(), 60)
        try:
            yield pool, Ground(pool, ground.root / "lake", Path(shape.scratch))
        finally:
            await pool.ensure_stopped()
