"""The open-loop load against servers that stall, send in chunks, refuse, or leave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.benchmarks.serving.open_loop import run

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
UNCHANGED = b"HTTP/1.1 304 Not Modified\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
STALL_S = 0.3


@contextmanager
def server(answer: bytes, stall_s: float = 0.0, *, leaves: bool = False) -> Iterator[int]:
    """Its port; it answers every request alike, the first of them only after `stall_s`."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            stalled = threading.Event()
            while connection.recv(4096):
                stalled.wait(0 if stalled.is_set() else stall_s)
                stalled.set()
                connection.sendall(answer)
                if leaves:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def test_whoever_had_to_wait_behind_a_stall_took_that_long() -> None:
    with server(SHORT, STALL_S) as port:
        took_s = run(port, 1, seconds=0.2, per_s=100, requests=[REQUEST])
    assert len(took_s) == 20
    assert min(took_s) >= STALL_S - 0.2


@pytest.mark.parametrize("answer", [SHORT, CHUNKED, UNCHANGED], ids=["length", "chunks", "304"])
def test_answers_end_as_http_says(answer: bytes) -> None:
    with server(answer) as port:
        assert len(run(port, 1, seconds=0.01, per_s=1000, requests=[REQUEST])) == 10


def test_a_refusal_is_no_figure() -> None:
    with pytest.raises(ConnectionError, match="503"), server(REFUSED) as port:
        run(port, 1, seconds=0.01, per_s=1000, requests=[REQUEST])


def test_an_answer_that_breaks_off_is_no_figure() -> None:
    with pytest.raises(ConnectionError, match="middle"), server(HALF, leaves=True) as port:
        run(port, 1, seconds=0.01, per_s=1000, requests=[REQUEST])
