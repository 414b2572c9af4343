"""What runs in the containers of these tests: it does what the test tells it over a socket in its channel."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

PROGRAM = """
import contextlib, io, json, socket, traceback

with socket.socket(socket.AF_UNIX) as channel:
    channel.connect("/run/datacanal/orders")
    orders = channel.makefile("rw")
    for line in orders:
        printed, failure = io.StringIO(), None
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), {"__name__": "order"})
        except BaseException:
            failure = traceback.format_exc()
        orders.write(json.dumps([printed.getvalue(), failure]) + "\\n")
        orders.flush()
"""
COMMAND = ("python", "-c", PROGRAM)
"""Ends with the connection, and at once where nobody listens."""
_ANSWERS_WITHIN_S = 30


class Inmate:
    """The test's end. Listens in the channel's folder from the beginning on."""

    def __init__(self, name: str, channel: Path) -> None:
        self.name = name
        self._listening = socket.socket(socket.AF_UNIX)
        os.fchmod(self._listening.fileno(), 0o666)
        (channel / "orders").unlink(missing_ok=True)
        self._listening.bind(str(channel / "orders"))
        (channel / "orders").chmod(0o666)
        self._listening.listen(1)
        self._listening.settimeout(_ANSWERS_WITHIN_S)
        self._connection: socket.socket | None = None

    def do(self, program: str) -> str:
        """What the program prints in the container."""
        connection = self._connected()
        connection.sendall(json.dumps(program).encode() + b"\n")
        with connection.makefile("r") as answers:
            printed, failure = json.loads(answers.readline())
        assert failure is None, failure
        return str(printed)

    def find(self, program: str) -> Any:
        """What the program prints, as JSON."""
        return json.loads(self.do(program))

    def send(self, program: str) -> None:
        """A program that does not answer, because its container ends over it."""
        self._connected().sendall(json.dumps(program).encode() + b"\n")

    def leave(self) -> None:
        """As an agent that was killed leaves its containers."""
        self._listening.close()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
            self._connection = None

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection, _ = self._listening.accept()
            self._connection.settimeout(_ANSWERS_WITHIN_S)
        return self._connection
