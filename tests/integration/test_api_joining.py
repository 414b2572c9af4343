"""Sites join: what a one-time token is good for, what it is not, and what a certificate is worth after."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from datacanal.domain.errors import DatacanalError, JoinRefused
from datacanal.serving.tls import pinned_client
from datacanal.site.identity import SiteIdentity, load_identity, load_membership
from datacanal.site.joining import PublicDoor, Tokens, ensure_joined
from datacanal.testing.agent_fake import ScriptedAgent
from datacanal.testing.control_house import ControlHouse, control_house

BEGUN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
Scene = Callable[[ControlHouse, httpx.AsyncClient], Awaitable[None]]


def play(home: Path, scene: Scene) -> None:
    async def run() -> None:
        async with control_house(home) as house:
            await scene(house, await house.admin())

    asyncio.run(run())


async def token(admin: httpx.AsyncClient, name: str = "north", **fields: object) -> str:
    made = await admin.post("/v1/tokens", json={"name": name, "role": "site", **fields})
    return str(made.json()["secret"])


def site(folder: Path, name: str = "north") -> SiteIdentity:
    return load_identity(folder, name, os.urandom)


async def refusal(house: ControlHouse, identity: SiteIdentity, secret: str) -> str:
    with pytest.raises(DatacanalError) as caught:
        await PublicDoor(house.url).join(identity, secret)
    assert caught.value.code == JoinRefused.code
    return caught.value.detail


def test_a_site_joins_once_and_needs_no_token_over_restarts_of_both(any_home: Path) -> None:
    async def run() -> None:
        home, identity = any_home / "north", site(any_home / "north")
        async with control_house(any_home / "control") as house:
            secret = await token(await house.admin())
            member = await ensure_joined(home, identity, PublicDoor(house.url), Tokens(home, secret))
            assert member.issuer == house.plane.issuer.public
            assert secret.endswith(house.plane.door.fingerprint)
        async with control_house(any_home / "control") as house:
            kept = await ensure_joined(home, site(home), PublicDoor(house.url), Tokens(home, secret))
            assert kept == member == load_membership(home)
            async with door(kept.door, kept.certificate, identity) as http:
                await ScriptedAgent(http, identity).hello()
            assert {row["name"]: row["connected"] for row in (await sites(house))}["north"]

    asyncio.run(run())


def door(url: str, certificate: str, identity: SiteIdentity) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, verify=pinned_client(certificate, identity.pair), trust_env=False)


async def sites(house: ControlHouse) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await (await house.admin()).get("/v1/sites")).json()["sites"]
    return found


def test_a_token_is_good_for_one_join(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        first, second = site(any_home / "1"), site(any_home / "2")
        secret = await token(admin)
        joined = await PublicDoor(house.url).join(first, secret)
        assert "was used" in await refusal(house, second, secret)
        # The answer to a join may be lost: the same join is answered again.
        assert await PublicDoor(house.url).join(first, secret) == joined
        shown = {row["name"]: row for row in (await admin.get("/v1/tokens")).json()["tokens"]}
        assert shown["north"]["used_at"]
        answer = await (await house.client(secret)).get("/v1/sites")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")

    play(any_home / "control", scene)


def test_wrong_expired_revoked_and_foreign_tokens_let_nobody_in(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        north = site(any_home / "north")
        expired = await token(admin, expires="2020-01-01T00:00:00Z")
        revoked = await token(admin)
        await admin.delete(f"/v1/tokens/tok_{revoked.split('_')[1]}")
        analyst = (await admin.post("/v1/tokens", json={"name": "north", "role": "analyst"})).json()["secret"]
        right = await token(admin)
        wrong = right.replace(right.split("_")[2], "0" * 64)
        reasons = {
            expired: "has expired",
            revoked: "was revoked",
            await token(admin, "south"): "for site 'south'",
            analyst: "for the role analyst",
            wrong: "is wrong",
            "nonsense": "is wrong",
        }
        for secret, reason in reasons.items():
            assert reason in await refusal(house, north, secret)
        nobody = await (await house.client(None)).post("/v1/site/join", json={"site": "north", "certificate": "x"})
        assert nobody.status_code == 401
        assert "north" not in [row["name"] for row in await sites(house)]

    play(any_home / "control", scene)


@pytest.mark.parametrize("certificate", ["", "nonsense", BEGUN])
def test_what_is_no_certificate_does_not_use_up_the_token(any_home: Path, certificate: str) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        secret = await token(admin)
        http = await house.client(secret)
        answer = await http.post("/v1/site/join", json={"site": "north", "certificate": certificate})
        assert (answer.status_code, answer.json()["code"]) == (403, "join_refused")
        await PublicDoor(house.url).join(site(any_home / "north"), secret)

    play(any_home / "control", scene)


def test_a_certificate_of_another_name_and_a_key_of_another_site_are_refused(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        south = site(any_home / "south", "south")
        http = await house.client(await token(admin))
        answer = await http.post("/v1/site/join", json={"site": "north", "certificate": south.certificate.pem})
        assert "that of site 'south'" in answer.json()["detail"]
        await PublicDoor(house.url).join(south, await token(admin, "south"))
        stolen = (any_home / "south" / "signing.key").read_bytes()
        twin = load_identity(any_home / "twin", "north", lambda _: stolen)
        assert "that of another site" in await refusal(house, twin, await token(admin))

    play(any_home / "control", scene)


def test_a_site_that_joins_again_replaces_itself_and_the_old_key_is_worth_nothing(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        old, new = site(any_home / "old"), site(any_home / "new")
        public = PublicDoor(house.url)
        joined = await public.join(old, await token(admin))
        async with door(joined.door, joined.certificate, old) as http:
            agent = ScriptedAgent(http, old)
            await agent.hello()
            polling = asyncio.create_task(agent.poll())
            again = await public.join(new, await token(admin))
            with pytest.raises(DatacanalError) as ended:  # the poll that was open
                await polling
            assert ended.value.code == "session_lost"
            with pytest.raises(DatacanalError) as refused:  # on the connection that was open
                await agent.hello()
            assert refused.value.code == "unauthenticated"
        async with door(joined.door, joined.certificate, old) as http:
            with pytest.raises(httpx.TransportError):  # and on any other
                await http.post("/v1/site/hello")
        async with door(again.door, again.certificate, new) as http:
            await ScriptedAgent(http, new).hello()
        back = await public.join(old, await token(admin))
        async with door(back.door, back.certificate, old) as http:
            await ScriptedAgent(http, old).hello()

    play(any_home / "control", scene)


def test_a_site_that_never_joined_is_not_talked_to(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        member, _ = await house.member("core")
        stranger = site(any_home / "stranger", "core")
        url, certificate = house.door_of("core")
        async with door(url, certificate, stranger) as http:
            with pytest.raises(httpx.TransportError):
                await http.post("/v1/site/hello")
        async with httpx.AsyncClient(verify=pinned_client(certificate), trust_env=False) as naked:
            with pytest.raises(httpx.TransportError):
                await naked.get(f"{url}/openapi.json")
        assert member.certificate.fingerprint != stranger.certificate.fingerprint

    play(any_home / "control", scene)


def test_transfers_are_made_for_the_key_of_the_certificate_and_no_other(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        core, http = await house.member("core")
        agent = ScriptedAgent(http, core)
        agent.public_key = site(any_home / "thief").keys.public
        with pytest.raises(DatacanalError) as refused:
            await agent.hello()
        assert refused.value.code == "forbidden"

    play(any_home / "control", scene)


def test_a_control_plane_with_another_key_than_the_token_s_is_not_joined(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        secret = await token(admin)
        forged = f"{secret.rpartition('_')[0]}_{'0' * 64}"
        assert "another key than the one that the token names" in await refusal(house, site(any_home / "north"), forged)

    play(any_home / "control", scene)


def test_a_token_of_before_there_were_fingerprints_is_good_too(any_home: Path) -> None:
    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        secret = (await token(admin)).rpartition("_")[0]
        home = any_home / "north"
        home.mkdir()
        (home / "token").write_text(secret)
        await ensure_joined(home, site(home), PublicDoor(house.url), Tokens(home, ""))
        assert not (home / "token").exists()

    play(any_home / "control", scene)


def test_the_first_start_makes_tokens_for_sites_that_did_not_join_and_no_others(any_home: Path) -> None:
    def tokens() -> list[bool]:
        return [(any_home / "sites" / name / "token").exists() for name in ("core", "users")]

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        await house.member("core")

    play(any_home, scene)
    assert tokens() == [False, True]
    (any_home / "sites" / "core" / "signing.key").unlink()
    site(any_home / "sites" / "core", "core")  # its home was lost, and it made itself another key
    play(any_home, scene)
    assert tokens() == [False, True]


def test_the_door_stays_where_it_is_over_restarts_and_says_where(any_home: Path) -> None:
    doors: list[str] = []

    async def scene(house: ControlHouse, admin: httpx.AsyncClient) -> None:
        doors.append(await PublicDoor(house.url).find_door(""))

    play(any_home, scene)
    play(any_home, scene)
    assert doors[0] == doors[1]
    assert doors[0].startswith("https://127.0.0.1:")
