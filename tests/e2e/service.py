"""The real service for tests: `datacanal up` as a subprocess, with its lakes, on free ports, and nothing left after."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import psutil
from tests.image_names import WORKER

from datacanal.client import Client

MARK = "DATACANAL_TEST_RUN"
START_S = 60.0
STOP_S = 10.0


def free_ports(number: int) -> list[int]:
    """Ports of the loopback that nobody listens on now, all different."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [server.getsockname()[1] for server in servers]


@dataclass
class Settings:
    """What a test may want otherwise: pool, database, limits, environment of all processes, and policies by lake.

    With a `gateway`, data products are served too.
    """

    workers: int = 1
    threads: int = 1
    memory: str = "1GiB"
    backend: str = "local"
    reserve: int = 0
    image: str = WORKER
    images: Sequence[str] = ()
    docker_host: str = "unix:///var/run/docker.sock"
    limits: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    database: str = "sqlite"
    gateway: bool = False


class Service:
    """A service over `sites`: lakes with their folders, by site. Use it in a `with`."""

    def __init__(self, home: Path, sites: Mapping[str, Mapping[str, Path]], settings: Settings | None = None) -> None:
        self.home = home
        self.sites = sites
        self.settings = settings or Settings()
        self.configuration = home / "datacanal.toml"
        self._run_id = uuid.uuid4().hex
        self._ports = free_ports(2 + len(sites))
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._said: list[str] = []
        self._write_configuration()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[-1]}"

    def exchange_port(self, site: str) -> int:
        """Where the site serves its transfers to others."""
        return self._ports[1 + list(self.sites).index(site)]

    @property
    def token(self) -> str:
        """The first admin's token."""
        return (self.home / "state" / "admin.token").read_text().strip()

    @property
    def environment(self) -> dict[str, str]:
        """For commands that shall talk to this service."""
        own = {"DATACANAL_URL": self.url, "DATACANAL_TOKEN": self.token}
        return {**os.environ, **own}

    def client(self) -> Client:
        return Client(self.url, self.token)

    def http(self, *, token: str | None = None, timeout_s: float = 60.0) -> httpx.Client:
        """Plain HTTP with a token (the admin's)."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def command(self, *arguments: str, timeout_s: float = 60.0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A `datacanal` command against this service."""
        return datacanal(*arguments, environment=self.environment, timeout_s=timeout_s, stdin=stdin)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = {**os.environ, **self.settings.environment, MARK: self._run_id}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "datacanal.cli", "up", "--config", str(self.configuration)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        assert ready.wait(START_S), f"the service is not ready after {START_S} s:\n{self.said()}"
        assert self._process.poll() is None, f"`datacanal up` ended:\n{self.said()}"

    def stop(self) -> None:
        """SIGTERM to `up` alone; everything is gone within 10 s."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"`datacanal up` did not stop within {STOP_S} s:\n{self.said()}") from None
        finally:
            self._process = None
            left = self.left_after(STOP_S)
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            if self._reader is not None:
                self._reader.join(STOP_S)
        assert not left, f"these were left running: {[_line(process) for process in left]}"

    def kill(self) -> None:
        """kill -9 of `up` itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def said(self) -> str:
        """What `up` printed, and the ends of the parts' logs."""
        logs = sorted((self.home / "state" / "logs").glob("*.log"))
        tails = [f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs]
        return "\n".join(["".join(self._said), *tails])

    def processes(self) -> list[psutil.Process]:
        """Everything that runs below `up` now."""
        assert self._process is not None
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def find(self, *words: str) -> list[psutil.Process]:
        """The processes below `up` whose command line holds all these words."""
        return [process for process in self.processes() if all(word in _line(process) for word in words)]

    def left_after(self, timeout_s: float) -> list[psutil.Process]:
        """What still runs of all that this service ever started, after so long at most."""
        marked = [process for process in psutil.process_iter() if self._is_ours(process)]
        _, alive = psutil.wait_procs(marked, timeout=timeout_s)
        return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            return process.environ().get(MARK) == self._run_id or str(self.home) in _line(process)
        return False

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._said.append(line)
                if line.startswith("ready: "):
                    ready.set()
        ready.set()

    def _write_configuration(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for lake in {lake for lakes in self.sites.values() for lake in lakes}:
            policy = self.settings.policies.get(lake, 'default_class = "public"\n')
            (self.home / f"{lake}.policy.toml").write_text(policy)
        limits = "".join(f"{key} = {value}\n" for key, value in self.settings.limits.items())
        parts = [
            f'home = "state"\n[control]\nlisten = "127.0.0.1:{self._ports[0]}"',
            f'database = "{self.settings.database}"\n[limits]\n{limits}',
            f'[launcher]\nimage = "{self.settings.image}"\ndocker_host = "{self.settings.docker_host}"\n'
            f"images = {json.dumps(list(self.settings.images))}",
        ]
        if self.settings.gateway:
            parts.append(f'[gateway]\nlisten = "127.0.0.1:{self._ports[-1]}"\nstore = "products"')
        for port, (site, lakes) in zip(self._ports[1:-1], self.sites.items(), strict=True):
            parts.append(self._site(site, port, lakes))
        self.configuration.write_text("\n".join(parts))

    def _site(self, site: str, port: int, lakes: Mapping[str, Path]) -> str:
        own = self.settings
        lines = [
            f'[[sites]]\nname = "{site}"\ncontrol = "{self.url}"\nexchange = "127.0.0.1:{port}"',
            f'[sites.pool]\nbackend = "{own.backend}"\nworkers = {own.workers}',
            f'threads = {own.threads}\nmemory = "{own.memory}"\n[sites.python]\nreserve = {own.reserve}',
        ]
        for lake, folder in lakes.items():
            lines.append(f'[[sites.lakes]]\nname = "{lake}"\nurl = {json.dumps(folder.as_uri())}')
            lines.append(f"policy = {json.dumps(f'{lake}.policy.toml')}")
        return "\n".join(lines)


def datacanal(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 60.0, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a `datacanal` command to its end."""
    command = [sys.executable, "-m", "datacanal.cli", *arguments]
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def names(processes: Sequence[psutil.Process]) -> list[str]:
    """Their command lines, for messages."""
    return [_line(process) for process in processes]


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return "(gone)"
