"""The agent's end of a container: a socket in a folder of its own, and the connections that come to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

from datacanal.frames import LIMIT_BYTES, pack
from datacanal.site.engine.assignment import DOOR, Assignment, Line, lines_of

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Lines:
    """Open it, start the container, wait until it is `connected`; `close` lets the container die."""

    def __init__(self, folder: Path, role: str) -> None:
        self._folder = folder
        self._awaited = lines_of(role)
        self._ends: dict[Line, Ends] = {}
        self._all = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Whoever can enter the folder may connect: this user, by its home, and the container."""
        listening = await asyncio.to_thread(_listening, self._folder)
        self._server = await asyncio.start_unix_server(self._admit, sock=listening, limit=LIMIT_BYTES)

    async def connected(self) -> None:
        """Wait for all connections of its role."""
        await self._all.wait()

    @property
    def words(self) -> asyncio.StreamReader:
        """What it says; its end is the end of all that runs there."""
        return self._ends[Line.WORDS][0]

    @property
    def replies(self) -> asyncio.StreamReader:
        """Frames that it sends."""
        return self._ends[Line.REPLIES][0]

    @property
    def result(self) -> asyncio.StreamReader:
        """A driver's table, as far as it has come. Raises `KeyError` for any other role."""
        return self._ends[Line.RESULT][0]

    @property
    def requests(self) -> asyncio.WriteTransport:
        """Frames to it."""
        return self._ends[Line.REQUESTS][1].transport

    def assign(self, assignment: Assignment) -> None:
        """Tell it what to do: the first frame."""
        self.requests.write(pack(assignment.model_dump_json().encode()))

    async def close(self) -> None:
        """Let go of the container and of the folder."""
        self._stop_listening()
        for _, writer in self._ends.values():
            writer.transport.abort()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One of each kind, for they all come before anything runs that could want another."""
        try:
            line = Line(await reader.readexactly(1))
        except (ValueError, asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()
            return
        if line in self._ends or line not in self._awaited:
            writer.transport.abort()
            return
        self._ends[line] = (reader, writer)
        if len(self._ends) == len(self._awaited):
            self._all.set()
            self._stop_listening()

    def _stop_listening(self) -> None:
        """Nobody else is expected: what runs there could otherwise open one connection after the other."""
        if self._server is not None:
            self._server.close()


def _listening(folder: Path) -> socket.socket:
    """Bound by way of a descriptor: a socket's whole path may have 107 bytes, a home is deeper than that soon."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    descriptor = os.open(folder, os.O_PATH)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place = Path(f"/proc/self/fd/{descriptor}", DOOR.name)
        listening.bind(str(place))
        place.chmod(0o666)
        listening.listen(len(Line))
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(descriptor)
    return listening
