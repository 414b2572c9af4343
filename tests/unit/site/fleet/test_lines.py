"""The agent's end of a container: which connections it takes, and when it has them all."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from datacanal.site.engine.assignment import DOOR, Line, lines_of
from datacanal.site.fleet.lines import Lines

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "channel"


def connect(folder: Path, line: Line) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(folder / DOOR.name))
    connection.sendall(line.value)
    return connection


async def is_refused(connection: socket.socket) -> bool:
    connection.settimeout(5)
    try:
        return await asyncio.to_thread(connection.recv, 1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("role", ["worker", "job_worker", "driver"])
async def test_a_container_is_connected_with_the_lines_of_its_role(folder: Path, role: str) -> None:
    lines = Lines(folder, role)
    await lines.open()
    connected = asyncio.create_task(lines.connected())
    first, *others = sorted(lines_of(role), key=lambda line: line.value)
    connections = [connect(folder, line) for line in others]
    await asyncio.wait({connected}, timeout=0.05)
    assert not connected.done()
    connections.append(connect(folder, first))
    await asyncio.wait_for(connected, 5)
    await lines.close()
    for connection in connections:
        connection.close()


async def test_only_a_driver_has_a_result(folder: Path) -> None:
    lines = Lines(folder, "job_worker")
    await lines.open()
    with connect(folder, Line.RESULT) as connection:
        assert await is_refused(connection)
    await lines.close()


async def test_what_comes_over_the_result_line_is_read_from_it(folder: Path) -> None:
    lines = Lines(folder, "driver")
    await lines.open()
    connections = {line: connect(folder, line) for line in lines_of("driver")}
    await asyncio.wait_for(lines.connected(), 5)
    connections[Line.RESULT].sendall(b"rows")
    for connection in connections.values():
        connection.close()
    assert await asyncio.wait_for(lines.result.read(), 5) == b"rows"
    await lines.close()


async def test_once_all_lines_are_there_nobody_else_may_connect(folder: Path) -> None:
    lines = Lines(folder, "worker")
    await lines.open()
    connections = {line: connect(folder, line) for line in lines_of("worker")}
    await asyncio.wait_for(lines.connected(), 5)
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as another:
        another.connect(str(folder / DOOR.name))
    connections[Line.WORDS].sendall(b"still heard")
    assert await asyncio.wait_for(lines.words.readexactly(11), 5) == b"still heard"
    for connection in connections.values():
        connection.close()
    await lines.close()
