"""dask-gateway beside us: a server with the local backend, in its own environment, for as long as it is measured."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BIN = HERE.parents[2] / ".venv-gateway" / "bin"
_ANSWERS_WITHIN_S = 30.0


def is_here() -> bool:
    """Whether `make bench` could install it."""
    return (BIN / "dask-gateway-server").exists()


def new_clusters(runs: int) -> list[dict[str, float]]:
    """Seconds to the first result and to two workers, of so many clusters one after the other."""
    port = _free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "GATEWAY_PORT": str(port),
            "GATEWAY_FOLDER": folder,
        }
        environment.pop("PYTHONPATH", None)
        with Path(folder, "server.log").open("wb") as log:
            command = [str(BIN / "dask-gateway-server"), "--config", str(HERE / "server_config.py")]
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                _wait_for(port + 1)
                done = subprocess.run(
                    [str(BIN / "python"), str(HERE / "clusters.py"), str(port), str(runs)],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
            finally:
                server.terminate()
                server.wait()
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _free_ports(number: int) -> int:
    """The first of so many in a row."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
        try:
            for each in range(port, port + number):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + _ANSWERS_WITHIN_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("dask-gateway-server does not answer")
