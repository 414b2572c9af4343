"""A server that is measured: its process on a core of its own, its words for every question, its memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil
from tests.benchmarks.serving.asking import Ask, Block, Day, Page

BIN = Path(__file__).parents[3] / ".venv-serving" / "bin"
SERVER_CORE = 0
LOAD_CORE = 1
_ANSWERS_WITHIN_S = 120.0
_STOPS_WITHIN_S = 10.0


class Server(ABC):
    """Use it in a `with`. `headers` go with every request."""

    name: ClassVar[str]
    headers: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The process, listening on `port` of the loopback; may write what it needs into `folder`."""

    @abstractmethod
    def page(self, page: Page) -> Ask: ...

    @abstractmethod
    def day(self, day: Day) -> Ask: ...

    def block(self, block: Block) -> Ask | None:
        """None: it does not speak that format."""
        return None

    @abstractmethod
    def walk(self, rows: int) -> Iterator[tuple[float, int]]:
        """Seconds and number of rows of the pages of a walk over so many rows in the order of the key."""

    def rows(self, answer: bytes) -> list[dict[str, Any]]:
        """The rows of an answer in JSON."""
        return json.loads(answer)

    def __enter__(self) -> Self:
        with (self.folder / f"{self.name}.log").open("wb") as log:
            pinned = ["taskset", "--cpu-list", str(SERVER_CORE), *self.command()]
            self._process = subprocess.Popen(pinned, stdout=log, stderr=log, env=self.environment(), cwd=self.folder)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def environment(self) -> dict[str, str]:
        """Ours without what would lead another environment to our packages."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def ask(self, ask: Ask) -> tuple[float, HTTPResponse, bytes]:
        """Seconds until the whole answer was there. Raises `RuntimeError` for any but 200 and 304."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_ANSWERS_WITHIN_S)
        try:
            connection.connect()
            started = time.perf_counter()
            headers = {**self.headers, **ask.headers}
            connection.request("GET" if ask.body is None else "POST", ask.path, ask.body, headers)
            response = connection.getresponse()
            answer = response.read()
            elapsed_s = time.perf_counter() - started
        finally:
            connection.close()
        if response.status not in (200, 304):
            raise RuntimeError(f"{self.name} answered {response.status} to {ask.path}: {answer[:500]!r}")
        return elapsed_s, response, answer

    def peak_bytes(self) -> int:
        """The most memory that the process and its children of now ever held, added up."""
        assert self._process
        main = psutil.Process(self._process.pid)
        return sum(_high_water(process.pid) for process in (main, *main.children(recursive=True)))

    def _wait(self) -> None:
        assert self._process
        until = time.monotonic() + _ANSWERS_WITHIN_S
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        log = (self.folder / f"{self.name}.log").read_text(errors="replace")
        raise RuntimeError(f"{self.name} does not answer; the end of its log:\n{log[-2000:]}")


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _high_water(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
