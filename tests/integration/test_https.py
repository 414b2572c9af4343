"""A control plane beyond loopback, as clients and sites meet it: HTTPS, by a certificate that they have or find."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from datacanal.certificates import server_certificate
from datacanal.client import Client
from datacanal.configuration import ControlSection
from datacanal.domain.errors import DatacanalError, ServiceUnreachable
from datacanal.serving.tls import KeyPair, ensure_key_pair
from datacanal.site.identity import load_identity
from datacanal.site.joining import PublicDoor
from datacanal.testing.control_house import ControlHouse, control_house

BEYOND = ControlSection(listen="0.0.0.0:8400")


def play(home: Path, scene: Callable[[ControlHouse], Awaitable[None]], public: ControlSection = BEYOND) -> None:
    async def run() -> None:
        async with control_house(home, public=public) as house:
            await scene(house)

    asyncio.run(run())


def admin(home: Path) -> str:
    return (home / "admin.token").read_text().strip()


def sites(house: ControlHouse, token: str, ca: Path | None) -> list[str]:
    with Client(house.url, token, ca=str(ca) if ca else None) as client:
        return [site.name for site in client.sites()]


def test_a_client_trusts_the_certificate_that_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(house: ControlHouse) -> None:
        assert await asyncio.to_thread(sites, house, admin(tmp_path), tmp_path / "control.pem") == ["core", "users"]
        monkeypatch.setenv("DATACANAL_CA", str(tmp_path / "control.pem"))
        assert await asyncio.to_thread(sites, house, admin(tmp_path), None) == ["core", "users"]
        monkeypatch.delenv("DATACANAL_CA")
        monkeypatch.setenv("DATACANAL_HOME", str(tmp_path))
        assert await asyncio.to_thread(sites, house, admin(tmp_path), None) == ["core", "users"]

    play(tmp_path, scene)


def test_a_client_without_it_does_not_say_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def scene(house: ControlHouse) -> None:
        with pytest.raises(ServiceUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(sites, house, "dct_secret", None)
        with pytest.raises(ServiceUnreachable, match="DATACANAL_CA"):
            await asyncio.to_thread(sites, house, "dct_secret", tmp_path / "missing.pem")

    play(tmp_path / "home", scene)


def test_plain_http_is_not_answered(tmp_path: Path) -> None:
    async def scene(house: ControlHouse) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"{house.url.replace('https', 'http')}/v1/health")

    play(tmp_path, scene)


async def token(house: ControlHouse, home: Path) -> str:
    def made() -> str:
        with Client(house.url, admin(home), ca=str(home / "control.pem")) as client:
            return client.create_token("north", "site").secret

    return await asyncio.to_thread(made)


def test_a_site_knows_the_control_plane_by_its_token(tmp_path: Path) -> None:
    async def scene(house: ControlHouse) -> None:
        secret = await token(house, tmp_path)
        north = load_identity(tmp_path / "north", "north", os.urandom)
        member = await PublicDoor(house.url).join(north, secret)
        assert member.anchor == (tmp_path / "control.pem").read_text()
        assert await PublicDoor(house.url).find_door(member.anchor) == member.door

    play(tmp_path, scene)


def test_a_token_of_another_control_plane_is_not_said_to_this_one(tmp_path: Path) -> None:
    async def scene(house: ControlHouse) -> None:
        secret = (await token(house, tmp_path)).rpartition("_")[0] + "_" + "0" * 64
        north = load_identity(tmp_path / "north", "north", os.urandom)
        with pytest.raises(DatacanalError) as refused:
            await PublicDoor(house.url).join(north, secret)
        assert refused.value.code == ServiceUnreachable.code

    play(tmp_path, scene)


def test_a_certificate_of_the_operator_s_own_is_vouched_for_by_ca(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = KeyPair(tmp_path / "own.pem", tmp_path / "own.key")
    ensure_key_pair(own, server_certificate(key, ["127.0.0.1"]), key)
    home = tmp_path / "home"

    async def scene(house: ControlHouse) -> None:
        with Client(house.url, admin(home), ca=str(own.certificate)) as client:
            secret = (await asyncio.to_thread(client.create_token, "north", "site")).secret
        north = load_identity(tmp_path / "north", "north", os.urandom)
        with pytest.raises(DatacanalError, match=r"does not hold the key"):
            await PublicDoor(house.url).join(north, secret)
        member = await PublicDoor(house.url, own.certificate).join(north, secret)
        assert member.anchor == ""

    play(home, scene, ControlSection(certificate=own.certificate, key=own.key))
