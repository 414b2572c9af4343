"""What every container runs: `python -m datacanal.site.engine.boxed ROLE`. It is told over a socket what to do.

The agent listens in the one folder that the container has of its own; it may have started the container before it knew
for whom. Its connections, told apart by their first byte, become standard input, output and error and the lifeline of
the role's own module; a driver has a fifth, for the table that its job returns. Nothing about a job is thus in a
command, an environment, or on a disk.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from datacanal.frames import HEAD_BYTES, body_length
from datacanal.lifeline import VARIABLE
from datacanal.site.engine.assignment import DOOR, HOME, RESULT, Assignment, Line, lines_of

_ROLES = ("scheduler", "runner", "worker", "job_scheduler", "job_worker", "driver")


def main(arguments: list[str]) -> None:
    """Be what the assignment says, until the lifeline ends."""
    role = arguments[0]
    if role not in _ROLES:
        sys.exit(f"There is no role {role!r}.")
    lines = {line: _connect(line) for line in lines_of(role)}
    # Libraries take a second to load: time that a container has while it waits for its assignment.
    module = importlib.import_module(f"datacanal.site.engine.{role}")
    assignment = _assignment(lines[Line.REQUESTS])
    if assignment is None:
        return
    _write(assignment.files)
    for line, descriptor in ((Line.REQUESTS, 0), (Line.REPLIES, 1), (Line.WORDS, 2)):
        os.dup2(lines[line].detach(), descriptor)
    os.environ[VARIABLE] = str(lines[Line.LIFE].detach())
    if Line.RESULT in lines:
        os.environ[RESULT] = str(lines[Line.RESULT].detach())
    module.main(assignment.arguments)


def _connect(line: Line) -> socket.socket:
    """Raises `OSError` where the agent does not listen any more: nobody wants this container."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(DOOR))
    connection.sendall(line.value)
    return connection


def _assignment(requests: socket.socket) -> Assignment | None:
    """The first frame, without a byte of what follows it; None where the agent is gone."""
    head = _receive(requests, HEAD_BYTES)
    body = None if head is None else _receive(requests, body_length(head))
    return None if body is None else Assignment.model_validate_json(body)


def _receive(requests: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        piece = requests.recv(size - len(received))
        if not piece:
            return None
        received += piece
    return bytes(received)


def _write(files: Mapping[str, str]) -> None:
    """Into memory, for this user alone."""
    os.umask(0o077)
    for name, content in files.items():
        file = Path(HOME, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main(sys.argv[1:])
