"""A real launcher with one site, and pools of containers on it, for tests marked `docker`."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import docker
from tests.image_names import WORKER
from tests.python_jobs import Heard

from datacanal.configuration import load_configuration
from datacanal.site.engine.announcements import SchedulerAddress
from datacanal.site.engine.assignment import HOME, Assignment
from datacanal.site.engine.job_cluster import JobSettings
from datacanal.site.engine.python_task import DRIVER_EVENT, DriverReady, GaveUp, PythonTask, Returned
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fleet.containers import Container
from datacanal.site.fleet.docker import DockerPool, Neighbourhood
from datacanal.site.fleet.life import PACE, Pace
from datacanal.site.fleet.log import CappedLog
from datacanal.site.fleet.tls import new_certificates
from datacanal.site.launcher.client import LauncherClient
from datacanal.site.launcher.labels import Label
from datacanal.site.launcher.settings import launcher_settings, launcher_socket
from datacanal.site.launcher.specification import ContainerSpecification, PoolNetwork, Role
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


@dataclass
class JobCluster:
    """A scheduler, its workers, and drivers as many as there are tasks: each runs one."""

    ground: Launched
    launcher: LauncherClient
    boot: str
    pool: str
    certificates: dict[str, str]
    scheduler: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def stage(self) -> Path:
        return self.ground.home / "stages" / self.pool

    async def start(self, role: Role, log: CappedLog, memory_bytes: int = 512 * 2**20) -> Container:
        name = f"{self.pool}-{role.replace('_', '-')}-{next(self.numbers)}"
        settings = JobSettings(
            tls=str(HOME / "tls"), directory=str(HOME / "dask"), threads=1, memory_bytes=memory_bytes
        )
        specification = ContainerSpecification(
            name=name,
            role=role,
            pool=self.pool,
            boot=self.boot,
            memory_bytes=memory_bytes,
            cpus=1,
            stage=None if role == "job_scheduler" else self.pool,
            channel=name,
            tmp_bytes=16 * 2**20,
            work_bytes=64 * 2**20,
        )
        files = {f"tls/{file}": content for file, content in self.certificates.items()}
        assignment = Assignment(arguments=[settings.model_dump_json(), name], files=files)
        return await Container.start(self.launcher, specification, assignment, self.ground.home / "channels", log)

    async def driver(self, log: CappedLog) -> Container:
        """One that is ready."""
        driver = await self.start("driver", log)
        assert await driver.hear() == DriverReady().model_dump_json().encode()
        return driver

    async def run(self, task: PythonTask, driver: Container | None = None) -> Heard:
        """Give the task to a driver, and keep all that comes of it until it ends or says its last word."""
        path = self.ground.root / f"{next(self.numbers)}.log"
        driver = driver or await self.driver(CappedLog(path))
        driver.tell(task)
        line = await driver.result()
        assert line is not None
        stream = asyncio.create_task(line.read())
        heard = Heard()
        while (frame := await driver.hear()) is not None:
            heard.events.append(DRIVER_EVENT.validate_json(frame))
            if isinstance(heard.events[-1], Returned | GaveUp):
                break
        heard.stream = await stream
        driver.kill()
        await driver.gone()
        heard.words = path.read_text(errors="replace") if path.exists() else ""
        return heard


@asynccontextmanager
async def job_cluster(
    ground: Launched, workers: int = 2, pool: str = "job-1", boot: str | None = None
) -> AsyncIterator[JobCluster]:
    """The containers of one Python job, but for its driver."""
    await until(ground.socket.exists)
    async with LauncherClient(ground.socket) as launcher:
        boot = boot or secrets.token_hex(8)
        cluster = JobCluster(ground, launcher, boot, pool, new_certificates(datetime.now(UTC)))
        cluster.stage.mkdir(parents=True, exist_ok=True)
        await launcher.hello(cluster.boot)
        await launcher.ensure_network(PoolNetwork(pool=cluster.pool, boot=cluster.boot))
        log = CappedLog(ground.root / "cluster.log")
        scheduler = await cluster.start("job_scheduler", log)
        members = [scheduler, *[await cluster.start("job_worker", log) for _ in range(workers)]]
        try:
            frame = await scheduler.hear()
            assert frame is not None, (ground.root / "cluster.log").read_text()
            address = SchedulerAddress.model_validate_json(frame)
            cluster.scheduler = address.address
            for worker in members[1:]:
                worker.tell(address)
                assert await worker.hear() is not None, (ground.root / "cluster.log").read_text()
            yield cluster
        finally:
            for member in members:
                member.kill()
            await asyncio.gather(*(member.gone() for member in members))
            await launcher.remove_network(cluster.pool)


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
