"""People sign in by OpenID Connect: with a provider that conforms, and with each of those that do not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.integration.developers import ACCOUNTS, Town, subscribed
from tests.integration.gateway_scene import told
from tests.products import ProductHome, serving

from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadConfiguration
from datacanal.serving.runner import HttpServer, bind
from datacanal.testing import identity_provider as providers
from datacanal.testing.identity_provider import CLIENT, SECRET, IdentityProvider

SIGN_IN = "/v1/sign-in"
EXCHANGE = f"{SIGN_IN}/exchange"
MAY = {"sub": "4711", "preferred_username": "May 梅", "groups": ["quants"]}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
RETURN = {"return_to": "http://127.0.0.1:9/done", "challenge": CHALLENGE}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def played(
    folder: Path,
    scene: Callable[[Town, IdentityProvider], Awaitable[None]],
    provider: type[IdentityProvider] = IdentityProvider,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    person: dict[str, Any] | None = None,
    **section: Any,
) -> None:
    """The scene with a gateway where people sign in by such a provider."""

    async def play() -> None:
        home = ProductHome(folder)
        home.product("pub.internal")
        (folder / "secret").write_text(f"{SECRET}\n")
        listening = bind("127.0.0.1:0", key="provider")
        known = provider(f"http://127.0.0.1:{listening.getsockname()[1]}", person or MAY)
        server = HttpServer(known.app, listening)
        await server.start()
        listen = f"127.0.0.1:{free_port()}"
        sign_in = {"issuer": known.issuer, "client_id": CLIENT, "client_secret": folder / "secret", **section}
        try:
            async with serving(
                home, now, sign_in={"redirect": f"http://{listen}", **sign_in}, listen=listen
            ) as running:
                town = Town(running, home)
                await scene(town, known)
                for client in town.clients:
                    await client.aclose()
        finally:
            await server.stop()

    asyncio.run(play())


async def came_back(town: Town, **query: str) -> httpx.Response:
    """The gateway's answer to who was at the provider; cookies are kept as a browser does."""
    browser = town.by(None)
    away = await browser.get(SIGN_IN, params=query)
    assert away.status_code == 302, away.text
    back = await browser.get(away.headers["location"])
    assert back.status_code == 302, back.text
    return await browser.get(back.headers["location"])


async def refusal(town: Town) -> tuple[int, str]:
    answer = await came_back(town)
    assert "token" not in answer.json()
    return answer.status_code, answer.json()["code"]


def test_a_person_gets_an_account_and_a_token_of_their_own(tmp_path: Path) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        answer = await came_back(town)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        first, second = answer.json(), (await came_back(town)).json()
        assert first["account"] == second["account"]
        assert first["account"]["name"] == "May 梅"
        may = town.by(first["token"])
        assert [each["id"] for each in (await may.get(ACCOUNTS)).json()["accounts"]] == [first["account"]["id"]]
        town.home.stable("pub.bars")
        await subscribed(may, "pub.bars")
        answer = await may.get("/v1/products/pub.bars/data?limit=1")
        assert (answer.status_code, len(answer.json()["data"])) == (200, 1)

    played(tmp_path, scene)


def test_nobody_becomes_somebody_by_what_a_provider_calls_them(tmp_path: Path) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        await subscribed(town.enter("ann", "publisher"))
        signed_in = (await came_back(town)).json()
        assert signed_in["account"]["principal"] == f"sign-in:{signed_in['account']['id']}"
        assert signed_in["account"]["name"].startswith("ann-")
        shown = (await town.by(signed_in["token"]).get("/v1/subscriptions")).json()
        assert shown["subscriptions"] == []

    played(tmp_path, scene, person={"sub": "ann", "preferred_username": "ann"})


def test_the_token_ends_after_eight_hours(tmp_path: Path) -> None:
    begun = now = datetime.now(UTC)

    async def scene(town: Town, _provider: IdentityProvider) -> None:
        nonlocal now
        may = town.by((await came_back(town)).json()["token"])
        now = begun + timedelta(hours=8, seconds=-1)
        assert (await may.get(ACCOUNTS)).status_code == 200
        now = begun + timedelta(hours=8)
        assert await told(may, ACCOUNTS) == (401, "unauthenticated")

    played(tmp_path, scene, now=lambda: now)


@pytest.mark.parametrize(
    "provider",
    [
        providers.ProviderOfAnotherNonce,
        providers.ProviderForAnotherClient,
        providers.ProviderForSeveralClients,
        providers.ProviderWhoseTokensAreOld,
        providers.ProviderWithAnotherIssuersTokens,
        providers.ProviderOfNobody,
        providers.ProviderWithAnotherKey,
        providers.ProviderThatDoesNotSign,
        providers.ProviderThatRefuses,
    ],
)
def test_an_id_token_that_does_not_hold_signs_nobody_in(tmp_path: Path, provider: type[IdentityProvider]) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        assert await refusal(town) == (401, "sign_in_refused")
        root = town.enter("root", "admin")
        assert (await root.get(ACCOUNTS)).json()["accounts"] == []

    played(tmp_path, scene, provider)


@pytest.mark.parametrize("provider", [providers.ProviderThatSaysItIsAnother, providers.ProviderWithOpenAddresses])
def test_a_provider_that_is_not_the_one_in_the_configuration_is_not_asked(
    tmp_path: Path, provider: type[IdentityProvider]
) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        assert await told(town.by(None), SIGN_IN) == (503, "sign_in_unavailable")

    played(tmp_path, scene, provider)


def test_a_provider_that_is_away_is_told(tmp_path: Path) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        assert await told(town.by(None), SIGN_IN) == (503, "sign_in_unavailable")

    played(tmp_path, scene, issuer=f"http://127.0.0.1:{free_port()}")


def test_a_gateway_with_another_secret_is_not_believed_and_tells_neither(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        answer = await came_back(town)
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
        said = capfd.readouterr()
        assert "canary" not in answer.text + said.out + said.err

    (tmp_path / "wrong").write_text("canary of another")
    played(tmp_path / "x", scene, client_secret=tmp_path / "wrong")


def test_only_the_allowed_groups_are_let_in(tmp_path: Path) -> None:
    async def scene(town: Town, provider: IdentityProvider) -> None:
        assert (await came_back(town)).status_code == 200
        for groups in (["sales"], [], None, "quantsx", [1], {"quants": True}, ["quants"] * 65, ["quants", "x" * 200]):
            provider.person = {**MAY, "groups": groups}
            assert await refusal(town) == (401, "sign_in_refused")
        provider.person = {"sub": "4711"}
        assert await refusal(town) == (401, "sign_in_refused")

    played(tmp_path, scene, allowed_groups=["quants", "desk"])


def test_the_groups_of_a_person_are_those_of_readers(tmp_path: Path) -> None:
    async def scene(town: Town, provider: IdentityProvider) -> None:
        town.home.product("pub.closed", visibility="private", readers=["group:quants"])
        may = town.by((await came_back(town)).json()["token"])
        await subscribed(may, "pub.closed", 202)
        provider.person = {"sub": "4712", "groups": "sales"}
        other = town.by((await came_back(town)).json()["token"])
        ask = {"method": "POST", "json": {"product": "pub.closed"}}
        assert await told(other, "/v1/subscriptions", **ask) == (404, "not_found")

    played(tmp_path, scene)


def test_the_cookie_is_for_this_browser_and_this_attempt(tmp_path: Path) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        browser, other = town.by(None), town.by(None)
        away = await browser.get(SIGN_IN)
        cookie = away.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", f"Path={SIGN_IN}", "Max-Age=600"))
        back = (await browser.get(away.headers["location"])).headers["location"]
        assert await told(other, back) == (401, "sign_in_refused")
        await other.get(SIGN_IN)
        assert await told(other, back) == (401, "sign_in_refused")
        state = parse_qs(urlsplit(back).query)["state"][0]
        assert await told(browser, back.replace(state, "x")) == (401, "sign_in_refused")
        assert await told(browser, back.replace("iss=http", "iss=https")) == (401, "sign_in_refused")
        assert (await browser.get(back)).status_code == 200
        assert await told(browser, back) == (401, "sign_in_refused")

    played(tmp_path, scene)


def test_a_program_gets_a_code_that_it_alone_can_use_once(tmp_path: Path) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        away = await came_back(town, **RETURN)
        address, _, query = away.headers["location"].partition("?")
        assert (away.status_code, address) == (302, RETURN["return_to"])
        [code] = parse_qs(query)["code"]
        nobody = town.by(None)

        async def exchanged(**given: str) -> tuple[int, str]:
            return await told(nobody, EXCHANGE, method="POST", json=given)

        assert await exchanged(code=code, verifier="w" * 43) == (401, "sign_in_refused")
        assert await exchanged(code=f"{code}x", verifier=VERIFIER) == (401, "sign_in_refused")
        given = await nobody.post(EXCHANGE, json={"code": code, "verifier": VERIFIER})
        assert given.status_code == 200
        assert (await town.by(given.json()["token"]).get(ACCOUNTS)).status_code == 200
        assert await exchanged(code=code, verifier=VERIFIER) == (401, "sign_in_refused")
        assert await told(town.by(code), ACCOUNTS) == (401, "unauthenticated")

    played(tmp_path, scene)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "http://127.0.0.1.evil.example:80/",
        "http://127.0.0.1:80@evil.example/",
        "http://127.0.0.1:80/\r\nSet-Cookie: a=b",
        "http://127.0.0.1:80/?x",
        "http://localhost:80/",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_is_sent_on_to_somewhere_else(tmp_path: Path, address: str) -> None:
    async def scene(town: Town, _provider: IdentityProvider) -> None:
        browser = town.by(None)
        answer = await browser.get(SIGN_IN, params={**RETURN, "return_to": address})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_field")
        assert await told(browser, f"{SIGN_IN}?return_to=http://127.0.0.1:80/") == (400, "bad_field")
        assert await told(browser, f"{SIGN_IN}?next=/") == (400, "bad_field")

    played(tmp_path, scene)


def test_a_gateway_without_a_provider_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(ProductHome(tmp_path)) as running, running.client(None) as client:
            for path in (SIGN_IN, f"{SIGN_IN}/callback"):
                assert await told(client, path) == (404, "sign_in_not_offered")

    asyncio.run(play())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('issuer = "http://accounts.example"', "gateway.sign_in.issuer"),
        ('issuer = "accounts"', "gateway.sign_in.issuer"),
        ('redirect = "http://data.example"', "gateway.sign_in.redirect"),
        ('redirect = "https://data.example/path"', "gateway.sign_in.redirect"),
        ('scopes = ["profile"]', "gateway.sign_in.scopes"),
        ('client_secrets = "x"', "gateway.sign_in.client_secrets"),
    ],
)
def test_a_section_that_cannot_be_is_refused(tmp_path: Path, text: str, key: str) -> None:
    whole = {"issuer": '"https://accounts.example"', "client_id": '"x"', "redirect": '"https://data.example"'}
    name, _, value = text.partition(" = ")
    lines = "\n".join(f"{each} = {said}" for each, said in {**whole, name: value}.items())
    file = tmp_path / "datacanal.toml"
    file.write_text(f"[gateway]\n[gateway.sign_in]\n{lines}\n")
    with pytest.raises(BadConfiguration) as refused:
        load_configuration(file)
    assert refused.value.data["key"] == key


def test_the_secrets_file_lies_beside_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "datacanal.toml"
    file.write_text(
        '[gateway.sign_in]\nissuer = "https://a.example"\nclient_id = "x"\nclient_secret = "s"\n'
        'redirect = "https://data.example"\n'
    )
    section = load_configuration(file).gateway_on("127.0.0.1:1").sign_in
    assert section is not None
    assert section.client_secret == tmp_path / "s"
