"""Two sites on a disk of their own, a launcher process that serves them, and each as its agent asks it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import docker
from tests.integration.launching.site import OWNER, Site, owned, owned_file

from datacanal.configuration import load_configuration
from datacanal.site.launcher.labels import owner_labels
from datacanal.site.launcher.settings import LauncherSettings, launcher_settings, socket_of

ROOT = Path(__file__).parents[3]
ENGINE = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
START_S = 30
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


def _of(site: Site) -> dict[str, list[str]]:
    return {"label": [f"{name}={value}" for name, value in owner_labels(site.ground).items()]}
