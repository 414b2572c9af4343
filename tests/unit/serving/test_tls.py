"""Servers that know their clients: who gets in, who does not, and what noise at the port does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request

from datacanal.certificates import Certificate, server_certificate, site_certificate
from datacanal.domain.errors import BadConfiguration
from datacanal.serving import runner
from datacanal.serving.protocol import peer_of
from datacanal.serving.runner import HttpServer, address_of, bind
from datacanal.serving.tls import KeyPair, ensure_key_pair, mutual_server, open_server, pinned_client


class Party:
    """Somebody with a key, in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
        self.certificate: Certificate = site_certificate(key, name)
        (folder / name).mkdir()
        pair = KeyPair(folder / name / "certificate.pem", folder / name / "certificate.key")
        self.pair = ensure_key_pair(pair, self.certificate.pem, key)

    def client(self, server: Party) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=pinned_client(server.certificate.pem, self.pair), trust_env=False)


class Guests:
    """Who is known, until somebody says otherwise."""

    def __init__(self, *parties: Party) -> None:
        self.pems: Iterable[str] = [party.certificate.pem for party in parties]

    def now(self) -> Iterable[str]:
        return self.pems


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/who")
    async def who(request: Request) -> str:
        return peer_of(request.scope) or "nobody"

    return app


@asynccontextmanager
async def served(tls: ssl.SSLContext) -> AsyncIterator[str]:
    listening = bind("127.0.0.1:0", key="test")
    server = HttpServer(application(), listening, tls)
    await server.start()
    try:
        yield f"https://{address_of(listening)}"
    finally:
        await server.stop()


async def asked(client: httpx.AsyncClient, url: str) -> str | None:
    """What the server knows of the caller; None where it did not answer."""
    async with client:
        with suppress(httpx.TransportError):
            return str((await client.get(f"{url}/who")).json())
    return None


def test_a_known_client_is_told_apart_by_its_key(tmp_path: Path) -> None:
    door, core, users = (Party(tmp_path, name) for name in ("door", "core", "users"))

    async def scene() -> None:
        async with served(mutual_server(door.pair, Guests(core, users).now)) as url:
            for party in (core, users):
                assert await asked(party.client(door), url) == party.certificate.fingerprint

    asyncio.run(scene())


def test_an_unknown_client_is_not_talked_to_and_neither_is_one_without_certificate(tmp_path: Path) -> None:
    door, core, stranger = (Party(tmp_path, name) for name in ("door", "core", "stranger"))

    async def scene() -> None:
        async with served(mutual_server(door.pair, Guests(core).now)) as url:
            assert await asked(stranger.client(door), url) is None
            naked = httpx.AsyncClient(verify=pinned_client(door.certificate.pem), trust_env=False)
            assert await asked(naked, url) is None

    asyncio.run(scene())


def test_who_becomes_known_gets_in_and_who_is_no_longer_does_not(tmp_path: Path) -> None:
    door, core, users = (Party(tmp_path, name) for name in ("door", "core", "users"))

    async def scene() -> None:
        guests = Guests(core)
        async with served(mutual_server(door.pair, guests.now)) as url:
            assert await asked(users.client(door), url) is None
            guests.pems = [users.certificate.pem]
            assert await asked(users.client(door), url) == users.certificate.fingerprint
            assert await asked(core.client(door), url) is None

    asyncio.run(scene())


def test_a_client_does_not_talk_to_another_server_than_the_pinned_one(tmp_path: Path) -> None:
    door, other, core = (Party(tmp_path, name) for name in ("door", "other", "core"))

    async def scene() -> None:
        async with served(mutual_server(other.pair, Guests(core).now)) as url, core.client(door) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"{url}/who")

    asyncio.run(scene())


def test_plain_http_and_noise_at_the_port_do_not_disturb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_HANDSHAKE_S", 0.1)
    door, core = Party(tmp_path, "door"), Party(tmp_path, "core")

    async def scene() -> None:
        async with served(mutual_server(door.pair, Guests(core).now)) as url:
            host, port = url.removeprefix("https://").split(":")
            scans = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
            for number, (_, writer) in enumerate(scans):
                writer.write([b"", b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b"\x00" * 500][number % 4])
            assert await asked(core.client(door), url) == core.certificate.fingerprint
            assert await asked(httpx.AsyncClient(trust_env=False), url.replace("https", "http")) is None
            for reader, writer in scans:  # none is left half open
                with suppress(ConnectionError):
                    assert b"HTTP" not in await reader.read()
                writer.close()

    asyncio.run(scene())


def test_a_server_for_everybody_proves_its_name_to_clients_that_check_names(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = KeyPair(tmp_path / "c.pem", tmp_path / "c.key")
    ensure_key_pair(own, server_certificate(key, ["control.example", "127.0.0.1"]), key)
    client = httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(own.certificate)), trust_env=False)

    async def scene() -> None:
        async with served(open_server(own)) as url:
            assert await asked(client, url) == "nobody"

    asyncio.run(scene())


def test_plain_http_is_refused_where_others_could_hear_it() -> None:
    with socket.socket() as everywhere, pytest.raises(BadConfiguration, match="plain HTTP on 0\\.0\\.0\\.0"):
        HttpServer(application(), everywhere)
