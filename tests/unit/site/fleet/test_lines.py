"""Who may connect to the agent's end of a container, and when nobody may any more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from datacanal.site.fleet.lines import Lines

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[Lines]:
    lines = Lines(tmp_path / "channel", "worker")
    await lines.open()
    yield lines
    await lines.close()


async def connect(folder: Path, kinds: bytes, stack: ExitStack) -> list[socket.socket]:
    def all_of_them() -> list[socket.socket]:
        made = []
        for kind in kinds:
            line = stack.enter_context(socket.socket(socket.AF_UNIX))
            line.connect(str(folder / "channel" / "agent"))
            line.sendall(bytes([kind]))
            made.append(line)
        return made

    return await asyncio.to_thread(all_of_them)


async def test_once_all_lines_are_there_nobody_else_may_connect(lines: Lines, tmp_path: Path) -> None:
    with ExitStack() as stack:
        words = (await connect(tmp_path, b"iolw", stack))[-1]
        await asyncio.wait_for(lines.connected(), 5)
        with pytest.raises(ConnectionRefusedError):
            await connect(tmp_path, b"w", stack)
        words.sendall(b"still heard")
        assert await asyncio.wait_for(lines.words.readexactly(11), 5) == b"still heard"
