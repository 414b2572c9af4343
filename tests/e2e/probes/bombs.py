"""Too much of everything that a machine has little of. Each cleans up after itself: others live in its container."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.probes.attempt import probe

_MIB = 2**20
_MOST_PROCESSES = 2_000
_MOST_FILES = 20_000
_MOST_NODES = 200_000
_MOST_CONNECTIONS = 600
_MOST_DISK = 600 * _MIB
_PATIENCE_S = 2


def forks() -> str:
    children: list[int] = []
    try:
        while len(children) < _MOST_PROCESSES:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    return f"{len(children)} processes"


def threads() -> str:
    enough = threading.Event()
    waiting: list[threading.Thread] = []
    try:
        while len(waiting) < _MOST_PROCESSES:
            thread = threading.Thread(target=enough.wait)
            thread.start()
            waiting.append(thread)
    except RuntimeError:  # what Python makes of EAGAIN
        raise OSError(11, "no more threads") from None
    finally:
        enough.set()
        for thread in waiting:
            thread.join()
    return f"{len(waiting)} threads"


def disk(folder: str) -> str:
    file = Path(folder, "filling")
    piece = b"\1" * _MIB
    try:
        with file.open("wb", buffering=0) as filling:
            for _ in range(_MOST_DISK // _MIB):
                filling.write(piece)
    finally:
        file.unlink(missing_ok=True)
    return f"{_MOST_DISK} bytes"


def nodes(folder: str) -> str:
    place = Path(folder, "nodes")
    place.mkdir()
    try:
        for number in range(_MOST_NODES):
            os.close(os.open(place / str(number), os.O_CREAT | os.O_WRONLY))
    finally:
        shutil.rmtree(place)
    return f"{_MOST_NODES} files"


def open_files() -> str:
    opened: list[int] = []
    try:
        while len(opened) < _MOST_FILES:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for each in opened:
            os.close(each)
    return f"{len(opened)} open files"


def connections() -> str:
    """To the agent, which would hold one open for each."""
    with ExitStack() as stack:
        for _ in range(_MOST_CONNECTIONS):
            stack.enter_context(to_the_agent())
        return f"{_MOST_CONNECTIONS} connections"


def to_the_agent() -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect("/run/datacanal/agent")  # waits while the agent has others to accept
    except OSError:
        line.close()
        raise
    line.settimeout(_PATIENCE_S)
    return line


def second_line(kind: bytes) -> Callable[[object], bytes]:
    """One more connection of a kind that the agent has: what it would take would be words of another."""

    def attack(_: object) -> bytes:
        with to_the_agent() as line:
            line.sendall(kind)
            return line.recv(1)

    return attack


BOMBS = {
    "forks": probe(lambda _: forks(), "EAGAIN", opens=False),
    "threads": probe(lambda _: threads(), "EAGAIN", opens=False),
    "the disk of /tmp": probe(lambda _: disk("/tmp"), "ENOSPC", opens=False),  # noqa: S108  # in the container
    "the disk of /dev/shm": probe(lambda _: disk("/dev/shm"), "ENOSPC", opens=False),  # noqa: S108  # the same
    "files in /tmp": probe(lambda _: nodes("/tmp"), "ENOSPC", opens=False),  # noqa: S108  # in the container
    "files in /work": probe(lambda _: nodes("/work"), "ENOSPC", opens=False),
    "open files": probe(lambda _: open_files(), "EMFILE", opens=False),
    "connections to the agent": probe(lambda _: connections(), "ECONNREFUSED", opens=False),
    "a second line for words": probe(second_line(b"w"), "ECONNREFUSED", opens=False),
    "a second line for requests": probe(second_line(b"i"), "ECONNREFUSED", opens=False),
}
