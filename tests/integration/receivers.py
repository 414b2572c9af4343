"""Receivers of webhooks on loopback, behind TLS, and how a gateway is led to them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datacanal.certificates import server_certificate
from datacanal.gateway.posting import Poster
from datacanal.gateway.webhook_addresses import IpAddress

NAME = "hooks.example"
Answers = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """A request as it came."""

    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def notice(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """What a receiver does, after the specification: symmetric signatures, v1."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = ".".join((self.headers["webhook-id"], self.headers["webhook-timestamp"], self.body.decode()))
        expected = base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
        given = [each.partition(",") for each in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(text, expected) for version, _, text in given)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with each of the texts in turn, the last one for ever; keeps what it received."""

    answers: Sequence[bytes] = (b"HTTP/1.1 204 No Content\r\n\r\n",)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        answer = self.answers[min(len(self.received), len(self.answers) - 1)]
        self.received.append(Received(head, headers, body))
        self.news.set()
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def after(self, count: int) -> list[Received]:
        """What was received, as soon as it is so many."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                await self.news.wait()
                self.news.clear()
        return self.received

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}/hook"


class Town:
    """A certificate for the receivers' name, and a resolver that says what a test wants, in turn."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = server_certificate(key, [NAME])
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        file = folder / "receiver.pem"
        file.write_text(private + self.certificate)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(file)
        self.asked: list[str] = []
        self.resolutions: list[list[str]] = [["127.0.0.1"]]

    async def resolve(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return self.resolutions[min(len(self.asked), len(self.resolutions)) - 1]

    def poster(
        self, allows: Callable[[IpAddress], bool] = lambda place: str(place) == "127.0.0.1", **more: Any
    ) -> Poster:
        """A poster for which 127.0.0.1 is the public internet."""
        return Poster(self.resolve, allows, ssl.create_default_context(cadata=self.certificate), **more)

    @asynccontextmanager
    async def open(self, receiver: Receiver) -> AsyncIterator[Receiver]:
        async with self.listening(receiver) as receiver.port:
            yield receiver

    @asynccontextmanager
    async def listening(self, answers: Answers, *, tls: bool = True) -> AsyncIterator[int]:
        """The port where it is answered so."""
        server = await asyncio.start_server(_forgiving(answers), "127.0.0.1", 0, ssl=self.server if tls else None)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


def _forgiving(answers: Answers) -> Answers:
    """Who asked may be gone before the answer is."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answers(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    return answer
