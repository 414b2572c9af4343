"""`.ci/engine` on machines whose dockerd starts, dies, or is there already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEAD = """#!/bin/sh
echo "failed to start daemon: no iptables"
exit 1
"""
ALIVE = f"""#!{sys.executable}
import os, signal, socketserver
from http.server import BaseHTTPRequestHandler

class Version(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"Version": "9.8.7"}}')

    def address_string(self):
        return "client"

signal.alarm(20)
with socketserver.UnixStreamServer(os.environ["DOCKER_HOST"].removeprefix("unix://"), Version) as server:
    for _ in range(2):  # as often as the script asks once it answers
        server.handle_request()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that goes before the machine's own; compose, debootstrap and iptables are there."""
    for name in ("docker-compose", "debootstrap", "iptables"):
        program(tmp_path, name, "#!/bin/sh\n")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def run(machine: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{machine}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{machine}/engine.sock",
        "DOCKERD_LOG": str(machine / "dockerd.log"),
        "DOCKERD_WAIT_S": "20",
    }
    return subprocess.run([ROOT / ".ci" / "engine"], env=environment, capture_output=True, text=True, check=False)


def test_an_engine_that_does_not_run_is_started_and_its_version_told(machine: Path) -> None:
    program(machine, "dockerd", ALIVE)
    done = run(machine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"Starting dockerd; its log is {machine}/dockerd.log",
        "Docker engine 9.8.7",
    ]


def test_an_engine_that_dies_is_told_with_the_end_of_its_log(machine: Path) -> None:
    program(machine, "dockerd", DEAD)
    done = run(machine)
    assert done.returncode == 1
    assert "dockerd does not answer" in done.stderr
    assert "no iptables" in done.stderr
