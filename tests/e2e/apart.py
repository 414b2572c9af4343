"""The service as a bank would run it: each part by itself, as a Unix user of its own, joined and pinned by hand.

Lakes have mode 0700 and belong to their site's user; the control plane's user can read neither. Sites reach each other
through proxies that count what passes. Needs root, to become others.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
from tests.e2e.service import START_S, STOP_S, free_ports

from datacanal.client import Client

ROOT = Path(__file__).parents[2]
ABSENT = "becoming other Unix users needs root, unshare and setpriv"
_FIRST_USER = 41_000
_LOOK_S = 0.1

_OPEN_WAYS = """
set -e
hold=$(mktemp -d)
mount -t tmpfs tmpfs "$hold"
while [ "$1" != -- ]; do
  wall=$1; tree=$2; shift 2; number=$((number + 1))
  mkdir "$hold/$number"; mount --bind "$tree" "$hold/$number"
  case " $walls " in *" $wall "*) ;; *) walls="$walls $wall" ;; esac
  pairs="$pairs $hold/$number:$tree"
done
shift
for wall in $walls; do mount -t tmpfs -o mode=0755 tmpfs "$wall"; done
for pair in $pairs; do mkdir -p "${pair#*:}"; mount --bind "${pair%%:*}" "${pair#*:}"; done
exec "$@"
"""
"""In a mount namespace of its own: what the code needs is put where it was, behind directories that others may pass."""


def can_run() -> bool:
    """Whether this machine lets us start processes as other users."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("unshare", "setpriv", "mount"))


def as_user(user: int, command: Sequence[str]) -> list[str]:
    """The command, run by that user without any privilege, for as long as we are there."""
    becoming = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
    command = [*becoming, "--bounding-set=-all", "--no-new-privs", "--pdeathsig=KILL", *command]
    walls = [each for tree in (ROOT, Path(sys.prefix), Path(sys.base_prefix)) for each in _wall(tree)]
    if not walls:
        return command
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OPEN_WAYS, "sh", *walls, "--", *command]


def _wall(tree: Path) -> tuple[str, ...]:
    """The outermost directory on the way to the tree that others may not pass, and the tree."""
    for folder in [*reversed(tree.parents), tree]:
        if not folder.stat().st_mode & 0o001:
            return str(folder), str(tree)
    return ()


class CountingProxy:
    """Passes connections on to a port of loopback and counts what its callers are sent."""

    def __init__(self, target: int) -> None:
        self.sent_bytes = 0
        self._target = target
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that there are end with the parts that made them."""
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as target:
            asking = threading.Thread(target=_pump, args=(caller, target), daemon=True)
            asking.start()
            for size in _pump_pieces(target, caller):
                with self._lock:
                    self.sent_bytes += size
            asking.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    for _ in _pump_pieces(source, sink):
        pass


def _pump_pieces(source: socket.socket, sink: socket.socket) -> Iterator[int]:
    """Pass on what comes until it ends; the sizes of the pieces."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
            yield len(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@dataclass
class _Part:
    """A process of its own user: its home holds its configuration and state."""

    name: str
    user: int
    home: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        return self.home / "datacanal.toml"

    @property
    def log(self) -> Path:
        return self.home / "log"


@dataclass
class Apart:
    """Lakes by site and name; each lake's folder is copied into a directory that its site's user alone can read."""

    sites: Mapping[str, Mapping[str, Path]]
    memory: str = "1GiB"
    proxies: dict[str, CountingProxy] = field(default_factory=dict)
    lakes: dict[str, Path] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._home = Path(tempfile.mkdtemp(prefix="datacanal-apart-"))
        self._stack.callback(shutil.rmtree, self._home, ignore_errors=True)
        self._home.chmod(0o755)
        self._stack.callback(self._stop)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        """The first admin's token."""
        return (self._control.home / "state" / "admin.token").read_text().strip()

    @property
    def sent_bytes(self) -> int:
        """What the exchanges sent each other, TLS and HTTP included."""
        return sum(proxy.sent_bytes for proxy in self.proxies.values())

    def client(self) -> Client:
        return Client(self.url, self.token)

    def configuration_of(self, lake: str) -> Path:
        """The configuration file of the site that holds the lake."""
        site = next(site for site, lakes in self.sites.items() if lake in lakes)
        return self._parts[site].configuration

    def try_to_read(self, reader: str, lake: str) -> subprocess.CompletedProcess[str]:
        """List a lake as the user of a part (`control` or a site)."""
        part = self._control if reader == "control" else self._parts[reader]
        command = as_user(part.user, ["ls", str(self.lakes[lake])])
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def give_lakes(self) -> None:
        """Make what others wrote into a lake its site's own."""
        for site, lakes in self.sites.items():
            for lake in lakes:
                _give(self.lakes[lake], self._parts[site].user)

    def said(self) -> str:
        """The ends of all logs."""
        parts = [self._control, *self._parts.values()]
        return "\n".join(f"--- {p.name}\n{p.log.read_text(errors='replace')[-3000:]}" for p in parts if p.log.exists())

    def _start(self) -> None:
        self._port = free_ports(1)[0]
        self._control = self._part("control", _FIRST_USER, f'[control]\nlisten = "127.0.0.1:{self._port}"\n')
        self._run(self._control, ["serve", "control"], {})
        self._wait(lambda: bool(self.token) and self._get("/v1/health").is_success, "the control plane")
        self._parts = {name: self._site(name, number) for number, name in enumerate(self.sites, 1)}
        for part in self._parts.values():
            self._introduce(part)
        for name, part in self._parts.items():
            made = httpx.post(f"{self.url}/v1/tokens", json={"name": name, "role": "site"}, headers=self._headers())
            self._run(part, ["serve", "site", name], {"DATACANAL_TOKEN": made.raise_for_status().json()["secret"]})
        self._wait(self._all_connected, "the sites")

    def _part(self, name: str, user: int, configuration: str) -> _Part:
        part = _Part(name, user, self._home / name)
        part.home.mkdir(mode=0o700)
        (part.home / "policy.toml").write_text('default_class = "public"\n')
        part.configuration.write_text(f'home = "state"\n{configuration}')
        _give(part.home, user)
        return part

    def _site(self, name: str, number: int) -> _Part:
        [port] = free_ports(1)
        proxy = self.proxies[name] = CountingProxy(port)
        self._stack.callback(proxy.close)
        lines = [
            f'[[sites]]\nname = "{name}"\ncontrol = "{self.url}"\nexchange = "127.0.0.1:{port}"',
            f'exchange_url = "https://127.0.0.1:{proxy.port}"',
            f'[sites.pool]\nworkers = 1\nthreads = 1\nmemory = "{self.memory}"',
        ]
        user = _FIRST_USER + number
        for lake, source in self.sites[name].items():
            own = self.lakes[lake] = self._home / f"lake-{lake}"
            shutil.copytree(source, own)
            _give(own, user)
            own.chmod(0o700)
            lines.append(f'[[sites.lakes]]\nname = "{lake}"\nurl = {json.dumps(own.as_uri())}\npolicy = "policy.toml"')
        return self._part(name, user, "\n".join(lines) + "\n")

    def _introduce(self, part: _Part) -> None:
        """What two owners do by telephone: each pins the other's certificate by its fingerprint."""
        shown = self._command(part, ["site", "identity", part.name]).splitlines()
        fields = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in shown}
        copy = self._home / f"{part.name}.pem"
        shutil.copy(fields["certificate"], copy)
        copy.chmod(0o644)
        for other in self._parts.values():
            if other is not part:
                given = ["--fingerprint", fields["fingerprint"]]
                self._command(other, ["site", "trust", other.name, part.name, str(copy), *given])

    def _command(self, part: _Part, arguments: Sequence[str]) -> str:
        command = [*_datacanal(part), *arguments, "--config", str(part.configuration)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(part), cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, part: _Part, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        with part.log.open("wb") as log:
            part.process = subprocess.Popen(
                [*_datacanal(part), *arguments, "--config", str(part.configuration)],
                env=_environment(part) | dict(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
            )

    def _all_connected(self) -> bool:
        sites = self._get("/v1/sites").json()["sites"]
        connected = {site["name"] for site in sites if site["connected"]}
        return (
            connected == set(self.sites)
            and httpx.post(f"{self.url}/v1/datasets/refresh", headers=self._headers(), timeout=30).is_success
        )

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self._headers(), timeout=10)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + START_S
        while True:
            with suppress(OSError, httpx.HTTPError, KeyError):
                if holds():
                    return
            assert time.monotonic() < until_s, f"{what} did not come up:\n{self.said()}"
            time.sleep(_LOOK_S)

    def _stop(self) -> None:
        parts = [part for part in [*self._parts.values(), self._control] if part.process is not None]
        for part in parts:
            part.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]  # chosen so
        for part in parts:
            try:
                part.process.wait(STOP_S)  # type: ignore[union-attr]
            except subprocess.TimeoutExpired:
                part.process.kill()  # type: ignore[union-attr]
                raise AssertionError(f"{part.name} did not stop within {STOP_S} s:\n{self.said()}") from None


def _datacanal(part: _Part) -> list[str]:
    return as_user(part.user, [sys.executable, "-m", "datacanal.cli"])


def _environment(part: _Part) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(part.home), "LANG": "C.UTF-8"}


def _give(folder: Path, user: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, user, user)
