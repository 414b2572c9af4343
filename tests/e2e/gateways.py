"""A gateway as a process of its own, over a home that a test wrote."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Self

from tests.e2e.service import free_ports
from tests.gateway_processes import answers, gateway_command

START_S = 60.0
STOP_S = 10.0
_LOOKS_EVERY_S = 0.05


class GatewayProcess:
    """`datacanal serve gateway`; use it in a `with`."""

    def __init__(self, home: Path, store: Path) -> None:
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._log = home / "gateway-process.log"
        self._command = gateway_command(home / "gateway.toml", home, store, f"127.0.0.1:{port}")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not answers(self.url):
            if time.monotonic() > until or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"the gateway does not answer; its log:\n{self._log.read_text()}")
            time.sleep(_LOOKS_EVERY_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
