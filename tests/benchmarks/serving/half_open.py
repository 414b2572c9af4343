"""Connections that want nothing but to be there: silent ones, half a request, a body that never ends."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_BEGINNINGS = (
    b"",
    b"GET /v1/products HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never-",
    b"POST /v1/products/market.daily/estimate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4096\r\n\r\n{",
)
_TICK_S = 0.2


@contextmanager
def half_open(port: int, many: int) -> Iterator[None]:
    """Holds so many; whichever the server closes is opened again."""
    ended = threading.Event()
    holder = threading.Thread(target=_hold, args=(port, many, ended))
    holder.start()
    try:
        yield
    finally:
        ended.set()
        holder.join()


def _hold(port: int, many: int, ended: threading.Event) -> None:
    poll = select.epoll()
    held: dict[int, socket.socket] = {}
    opened = 0
    while not ended.is_set():
        while len(held) < many:
            each = socket.create_connection(("127.0.0.1", port))
            each.sendall(_BEGINNINGS[opened % len(_BEGINNINGS)])
            held[each.fileno()] = each
            poll.register(each.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
            opened += 1
        for number, _ in poll.poll(_TICK_S):
            poll.unregister(number)
            held.pop(number).close()
    for each in held.values():
        each.close()
    poll.close()
