"""A gateway as a process of its own: killed in the middle of answers, asked for the largest, besieged by the slow."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.e2e.service import free_ports
from tests.gateway_processes import gateway_command
from tests.products import ProductHome, bars

FORMATS = (
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)
INCOMPRESSIBLE = """SELECT i AS id,
    array_to_string(list_transform(range(100), lambda j: md5(CAST(i * 100 + j AS VARCHAR))), '') AS text
    FROM range(10000) AS a(i)"""
MOST_PEAK_BYTES = 600 * 2**20


class Process:
    """A running `datacanal serve gateway`."""

    def __init__(self, folder: Path, home: ProductHome, options: str, listen: str) -> None:
        command = gateway_command(folder / "datacanal.toml", home.home, home.store, listen, options=options)
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.address = self._ready()

    def _ready(self) -> str:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            if found := re.search(r'"address": "([^"]+)".*gateway_ready|gateway_ready.*"address": "([^"]+)"', line):
                return found[1] or found[2]
        raise AssertionError("the gateway ended before it was ready")

    def client(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        return httpx.Client(base_url=f"http://{self.address}", headers=headers, timeout=60, trust_env=False)

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@contextmanager
def gateway(folder: Path, home: ProductHome, options: str = "", listen: str = "127.0.0.1:0") -> Iterator[Process]:
    process = Process(folder, home, options, listen)
    try:
        yield process
    finally:
        process.popen.terminate()
        process.popen.communicate(timeout=20)


def test_nobody_takes_an_answer_for_whole_whose_gateway_was_killed(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.product("pub.texts")
    home.point("pub.texts", home.version("pub.texts", 0, INCOMPRESSIBLE, key=["id"], session=None))
    token = home.token("dev")
    with gateway(tmp_path, home) as process, ExitStack() as held, process.client(token) as client:
        answers = [
            held.enter_context(
                client.stream("GET", "/v1/products/pub.texts/data?limit=10000", headers={"Accept": each})
            )
            for each in FORMATS
        ]
        pieces = [answer.iter_raw(65_536) for answer in answers]
        assert all(answer.status_code == 200 and next(rest) for answer, rest in zip(answers, pieces, strict=True))
        process.popen.send_signal(signal.SIGKILL)
        process.popen.wait(20)
        for rest in pieces:
            with pytest.raises(httpx.TransportError):
                sum(len(piece) for piece in rest)


def test_the_largest_answer_needs_bounded_memory(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.product("pub.bars")
    home.point("pub.bars", home.version("pub.bars", 0, bars(1001, 1000), row_group_rows=16_384))
    token = home.token("dev")
    with gateway(tmp_path, home, 'memory = "512MiB"\ncache = "64MiB"') as process, process.client(token) as client:
        for accept in FORMATS[1:]:
            path = "/v1/products/pub.bars/data?limit=1000000"
            with client.stream("GET", path, headers={"Accept": accept}) as answer:
                assert answer.status_code == 200
                taken = sum(len(piece) for piece in answer.iter_raw())
            assert taken > 5_000_000, accept
        assert process.peak_bytes() < MOST_PEAK_BYTES


def test_half_open_connections_do_not_stop_others(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars")
    token = home.token("dev")
    with gateway(tmp_path, home) as process, ExitStack() as held, process.client(token) as client:
        host, _, port = process.address.rpartition(":")
        for number in range(500):
            slow = held.enter_context(socket.create_connection((host, int(port))))
            slow.sendall(b"GET /v1/products HTTP/1.1\r\nHost: x\r\n"[: 1 + number % 36])
        for number in range(1, 51):
            assert client.get(f"/v1/products/pub.bars/data?limit={number}").json()["usage"]["rows"] == number


def test_two_gateways_of_one_home_read_one_anothers_cursors(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars")
    token = home.token("dev")
    with ExitStack() as held:
        one, other = (held.enter_context(held.enter_context(gateway(tmp_path, home)).client(token)) for _ in range(2))
        page = one.get("/v1/products/pub.bars/data?limit=5").json()
        following = other.get(page["page"]["next"])
        assert following.content == one.get(page["page"]["next"]).content
        assert following.json()["data"][0] != page["data"][0]
    assert (home.home / "gateway.key").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_gateway_left_is_removed_by_the_next_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    scratch = home.home / "gateway" / "scratch"
    with gateway(tmp_path, home) as killed:
        killed.popen.kill()
        killed.popen.wait(20)
    [left] = (each for each in scratch.iterdir() if each.is_dir())
    with gateway(tmp_path, home):
        [own] = (each for each in scratch.iterdir() if each.is_dir())
        assert own != left
        with gateway(tmp_path, home):
            assert own.is_dir()
    assert not [each for each in scratch.iterdir() if each.is_dir()]


def test_beyond_loopback_a_gateway_speaks_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    token = home.token("dev")
    with gateway(tmp_path, home, listen="0.0.0.0:0") as process:
        verify = ssl.create_default_context(cafile=str(home.home / "gateway.pem"))
        port = process.address.rpartition(":")[2]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"https://localhost:{port}/v1/products", headers=headers, verify=verify)
        assert answer.json()["products"] == []


def test_a_gateway_waits_for_its_store_and_says_so(tmp_path: Path) -> None:
    config = tmp_path / "datacanal.toml"
    config.write_text('home = "state"\n[gateway]\nlisten = "127.0.0.1:0"\n')
    command = [sys.executable, "-m", "datacanal.cli", "serve", "gateway", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert "waiting_for_store" in waiting.stderr.readline()
        waiting.terminate()
        assert waiting.wait(20) == 0


def test_up_runs_the_gateway_beside_the_control_plane_whose_tokens_it_knows(tmp_path: Path) -> None:
    control, door = free_ports(2)
    config = tmp_path / "datacanal.toml"
    listens = f'[control]\nlisten = "127.0.0.1:{control}"\n[gateway]\nlisten = "127.0.0.1:{door}"\n'
    config.write_text(f'home = "state"\n{listens}')
    command = [sys.executable, "-m", "datacanal.cli", "up", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == f"ready: http://127.0.0.1:{control}\n"
        assert up.stdout.readline() == f"gateway: http://127.0.0.1:{door}\n"
        admin = (tmp_path / "state" / "admin.token").read_text().strip()
        made = httpx.post(
            f"http://127.0.0.1:{control}/v1/tokens",
            json={"name": "dev", "role": "developer"},
            headers={"Authorization": f"Bearer {admin}"},
        )
        token = made.json()["secret"]
        catalogue = f"http://127.0.0.1:{door}/v1/products"
        wait_for(200, catalogue, token)
        httpx.delete(
            f"http://127.0.0.1:{control}/v1/tokens/{made.json()['token']['id']}",
            headers={"Authorization": f"Bearer {admin}"},
        )
        wait_for(401, catalogue, token)
        up.terminate()
        assert up.wait(20) == 0


def wait_for(status: int, address: str, token: str) -> None:
    """Ask until the answer is that one: within a second, it is said."""
    until = time.monotonic() + 10
    while httpx.get(address, headers={"Authorization": f"Bearer {token}"}).status_code != status:
        assert time.monotonic() < until
