"""An open-loop load: requests are due at fixed moments whether or not the one before is back, and a latency counts
from the moment a request was due, so that a server that stops for a second is blamed for everything that waited.

It waits with select(), whose timeout is exact to some 50 µs; epoll's counts in milliseconds. Prints JSON. It imports
nothing but the standard library, so that it begins at once.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

_GIVES_UP_AFTER_S = 60.0
_LOOKS_AROUND_S = 1.0
_CHUNK = 1 << 18


@dataclass
class Connection:
    """One request at a time, kept alive."""

    socket: socket.socket
    due: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    head: int = 0
    length: int | None = None

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.received.clear()
        self.head, self.length = 0, None
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Takes what has come; whether the answer is whole. Raises `ConnectionError` for any but 200 and 304."""
        if not (piece := self.socket.recv(_CHUNK)):
            raise ConnectionError("the server closed a connection in the middle of an answer")
        self.received += piece
        if not self.head and not self._reads_head():
            return False
        if self.length is None:
            return self.received.endswith(b"\r\n0\r\n\r\n")
        return len(self.received) >= self.head + self.length

    def _reads_head(self) -> bool:
        self.head = self.received.find(b"\r\n\r\n") + 4
        if self.head < 4:
            self.head = 0
            return False
        status, *lines = bytes(self.received[: self.head]).lower().split(b"\r\n")
        if status.split()[1] not in (b"200", b"304"):
            raise ConnectionError(f"answered {status.decode()}")
        lengths = [line.partition(b":")[2] for line in lines if line.startswith(b"content-length:")]
        self.length = 0 if status.split()[1] == b"304" else int(lengths[0]) if lengths else None
        return True


def run(port: int, connections: int, seconds: float, per_s: float, requests: list[bytes]) -> list[float]:
    """Seconds that each request took from when it was due. Raises `ConnectionError`, `TimeoutError`."""
    many = max(1, round(seconds * per_s))
    asked = islice(cycle(requests), many)
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
        started = time.perf_counter()
        due = ((started + each / per_s, request) for each, request in enumerate(asked))
        return _taken(deque(map(Connection, opened)), deque(due), started + seconds + _GIVES_UP_AFTER_S)


def _taken(idle: deque[Connection], due: deque[tuple[float, bytes]], until: float) -> list[float]:
    busy: dict[int, Connection] = {}
    took: list[float] = []
    while due or busy:
        now = time.perf_counter()
        if now > until:
            raise TimeoutError(f"{len(due) + len(busy)} requests were not answered")
        while idle and due and due[0][0] <= now:
            each = idle.popleft()
            at, request = due.popleft()
            each.send(request, at)
            busy[each.socket.fileno()] = each
        wait_s = max(0.0, due[0][0] - now) if idle and due else _LOOKS_AROUND_S
        for number in select.select(list(busy), [], [], wait_s)[0]:
            if busy[number].is_answered():
                took.append(time.perf_counter() - busy[number].due)
                idle.append(busy.pop(number))
    return took


def main(arguments: list[str]) -> int:
    port, connections, seconds, per_s, headers, file = arguments
    common = "".join(f"{name}: {value}\r\n" for name, value in json.loads(headers).items())
    requests = [_request(line, common) for line in Path(file).read_text().splitlines()]
    took_s = run(int(port), int(connections), float(seconds), float(per_s), requests)
    print(json.dumps({"requests": len(took_s), "failed": 0, "took_ms": [each * 1000 for each in took_s]}))
    return 0


def _request(line: str, common: str) -> bytes:
    path, _, etag = line.partition("\t")
    condition = f"If-None-Match: {etag}\r\n" if etag else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{common}{condition}\r\n".encode()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
