"""Run an ASGI application on a socket of our own: taken ports are named, stopping takes seconds, not minutes.

Plain HTTP is spoken on loopback and on Unix sockets only.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import ssl

import uvicorn
from starlette.types import ASGIApp

from datacanal.domain.errors import BadConfiguration, PortInUse
from datacanal.serving.protocol import DeadlineProtocol

KEEP_ALIVE_S = 75
STOP_WITHIN_S = 3
_HANDSHAKE_S = 10.0
_GOODBYE_S = 1.0
"""How long a TLS connection that is being closed waits for the other side to say so too."""
_BACKLOG = 1024
_ACCEPTED_AT_ONCE = 8
"""After so many new connections those that are there have their turn."""


def bind(listen: str, *, key: str) -> socket.socket:
    """A listening socket for `host:port` (port 0: any). Raises `PortInUse` naming the configuration's key."""
    host, _, port = listen.rpartition(":")
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(key=key, address=listen) from None
        raise BadConfiguration(
            file="configuration", key=key, reason=f"cannot listen on {listen}: {error.strerror}"
        ) from None
    listening.setblocking(False)
    return listening


def address_of(listening: socket.socket) -> str:
    """`host:port` as it was really bound."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def stop_asked() -> asyncio.Event:
    """Set when this process is told to stop, by SIGTERM or SIGINT. For the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class HttpServer:
    """One application on one socket, inside a running event loop. The caller stops it.

    Raises `BadConfiguration` for plain HTTP where other machines could hear it.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        _silence_uvicorn()
        if tls is None and not _is_private(listening):
            reason = f"plain HTTP on {address_of(listening)} could be read by others"
            raise BadConfiguration(file="configuration", key="listen", reason=reason)
        config = uvicorn.Config(
            app,
            http=DeadlineProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._tls = tls
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once requests are answered."""
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[])
        # Its own way to listen has no deadline for a handshake that never ends.
        listener = await asyncio.get_running_loop().create_server(
            self._protocol,
            sock=self._listening,
            ssl=self._tls,
            backlog=_ACCEPTED_AT_ONCE,
            ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
            ssl_shutdown_timeout=_GOODBYE_S if self._tls else None,
        )
        self._listening.listen(_BACKLOG)  # asyncio takes one number for both
        self._server.servers.append(listener)
        self._task = asyncio.create_task(self._server.main_loop())

    def _protocol(self) -> DeadlineProtocol:
        server = self._server
        return DeadlineProtocol(server.config, server.server_state, server.lifespan.state)

    async def stop(self) -> None:
        """Refuse new connections, let answers that are under way finish for a moment, close the rest."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
            await self._server.shutdown(sockets=[self._listening])


def _is_private(listening: socket.socket) -> bool:
    """Whether what is said there stays on this machine."""
    return listening.family == socket.AF_UNIX or ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def _silence_uvicorn() -> None:
    """Its lines carry addresses and paths; what matters is logged by our own handlers as events."""
    logger = logging.getLogger("uvicorn.error")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
