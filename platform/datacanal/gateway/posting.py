"""Post to a host of somebody else: to the very address that was checked, once, and in bounded time and space."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from datacanal.domain.metering_errors import WebhookRefused
from datacanal.gateway.webhook_addresses import IpAddress, WebhookAddress, is_public, webhook_address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host's addresses, as they are now. Raises `OSError`."""

TIMEOUT_S = 10.0
"""For all of it: the name, the connection, the request and the head of the answer."""
MAX_HEAD_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")


class NotSent(Exception):
    """What kept an answer from coming, in words for the one whose host it is."""


class Poster:
    """Connects only to addresses that `allows` lets pass; follows nothing, and heeds no proxy."""

    def __init__(
        self,
        resolve: Resolve | None = None,
        allows: Callable[[IpAddress], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._resolve = resolve or resolved
        self._allows = allows
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status that was answered. Raises `NotSent`."""
        try:
            address = webhook_address(url)
            async with asyncio.timeout(self._timeout_s):
                return await self._asked(address, _request(address, headers, body))
        except WebhookRefused as refusal:
            raise NotSent(refusal.detail) from None
        except TimeoutError:
            raise NotSent(f"no answer came within {self._timeout_s:g} s") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise NotSent(f"the answer has no whole head of at most {MAX_HEAD_BYTES} bytes") from None
        except (OSError, ValueError) as error:
            raise NotSent(_words(error)) from None

    async def _asked(self, address: WebhookAddress, request: bytes) -> int:
        places = [ipaddress.ip_address(each) for each in await self._resolve(address.host, address.port)]
        for place in places:
            if not self._allows(place):
                raise NotSent(f"the name {address.host} leads to {place}, which is not a public address")
        reader, writer = await self._connected(address, places)
        try:
            writer.write(request)
            return await _status(reader)
        finally:
            writer.transport.abort()  # TLS would wait for the other side's goodbye, for as long as that side likes

    async def _connected(
        self, address: WebhookAddress, places: Sequence[IpAddress]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError = OSError(f"the name {address.host} has no address")
        for place in places:
            try:
                return await asyncio.open_connection(
                    str(place), address.port, ssl=self._tls, server_hostname=address.host, limit=MAX_HEAD_BYTES
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
        raise failure


async def resolved(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says. A resolver that hangs holds a thread of its own and nothing else."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[str]] = loop.create_future()

    def tell(addresses: Sequence[str], failure: OSError | None) -> None:
        if found.done():
            return
        found.set_exception(failure) if failure else found.set_result(addresses)

    def look() -> None:
        told: tuple[Sequence[str], OSError | None]
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            told = (list(dict.fromkeys(str(entry[4][0]) for entry in entries)), None)
        except (OSError, UnicodeError) as error:
            told = ((), OSError(str(error)))
        with suppress(RuntimeError):  # the loop was closed: nobody waits for it any more
            loop.call_soon_threadsafe(tell, *told)

    # No pool: its threads are waited for when the process ends, and a resolver may take minutes.
    threading.Thread(target=look, name="resolver", daemon=True).start()
    return await found


async def _status(reader: asyncio.StreamReader) -> int:
    """The final status; what announces it (1xx) is passed over, within the same bound of bytes."""
    left = MAX_HEAD_BYTES
    while left > 0:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        if not found:
            raise ValueError("the answer is not HTTP/1.1")
        status = int(found[1])
        if status >= 200:
            return status
        left -= len(head)
    raise ValueError(f"the answer announced itself with more than {MAX_HEAD_BYTES} bytes")


def _request(address: WebhookAddress, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Host": address.authority, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = [f"POST {address.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection came about: {error.reason}"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error)
