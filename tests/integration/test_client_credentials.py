"""OAuth 2.0 client credentials: a key for a token that stands for it, and errors in the standard's words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.developers import ACCOUNTS, KEYS, SUBSCRIPTIONS, Town, a_key, made, played, subscribed
from tests.integration.gateway_scene import told

from datacanal.client import Client

TOKEN = "/v1/oauth/token"  # noqa: S105  # an address
GRANT = {"grant_type": "client_credentials"}


async def exchanged(town: Town, key: dict[str, Any], **more: str) -> httpx.Response:
    client = {"client_id": key["key"]["id"], "client_secret": key["secret"]}
    return await town.by(None).post(TOKEN, data={**GRANT, **client, **more})


def test_a_token_stands_for_its_key_until_the_key_is_revoked(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        key = await a_key(dev, scopes=["account", "data"])
        answer = await exchanged(town, key)
        given = answer.json()
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 900, "account data")
        client = town.by(given["access_token"])
        assert (await client.get(ACCOUNTS)).json() == (await dev.get(ACCOUNTS)).json()
        own = key["key"]["subscription"]
        assert await told(client, f"{SUBSCRIPTIONS}/{own}/end", method="POST") == (403, "key_not_enough")
        await dev.delete(f"{KEYS}/{key['key']['id']}")
        assert await told(client, ACCOUNTS) == (401, "key_revoked")

    played(tmp_path, scene)


def test_a_token_may_do_less_than_its_key(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        key = await a_key(town.enter("dev"), scopes=["account", "data"])
        given = (await exchanged(town, key, scope="data")).json()
        assert given["scope"] == "data"
        assert await told(town.by(given["access_token"]), ACCOUNTS) == (403, "scope_missing")
        refused = await exchanged(town, key, scope="data sample")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")

    played(tmp_path, scene)


def test_data_are_open_to_a_token_as_to_its_key_and_to_the_client(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        town.home.stable("pub.bars")
        dev = town.enter("dev")
        subscription = await subscribed(dev, "pub.bars")
        key = await made(dev, KEYS, subscription=subscription)
        data = "/v1/products/pub.bars/data?limit=2"
        by_key = await town.by(key["secret"]).get(data)
        by_token = town.by((await exchanged(town, key)).json()["access_token"])
        assert (await by_token.get(data)).json()["data"] == by_key.json()["data"]
        less = (await exchanged(town, key, scope="sample")).json()["access_token"]
        assert await told(town.by(less), data) == (403, "scope_missing")
        with Client(token=key["secret"], gateway=town.running.url) as client:
            assert (await asyncio.to_thread(client.product("pub.bars").to_arrow, limit=2)).num_rows == 2
        await dev.post(f"{SUBSCRIPTIONS}/{subscription}/end")
        assert await told(by_token, data) == (403, "subscription_not_active")
        assert (await exchanged(town, key)).json()["error"] == "invalid_client"

    played(tmp_path, scene)


def test_a_token_ends_after_a_quarter_of_an_hour_and_never_outlives_its_key(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    async def scene(town: Town) -> None:
        nonlocal now
        dev = town.enter("dev")
        key = await a_key(dev, scopes=["account"], expires="2026-03-01T00:20:00Z")
        client = town.by((await exchanged(town, key)).json()["access_token"])
        now += timedelta(seconds=899)
        assert (await client.get(ACCOUNTS)).status_code == 200
        now += timedelta(seconds=1)
        assert await told(client, ACCOUNTS) == (401, "unauthenticated")
        assert (await exchanged(town, key)).json()["expires_in"] == 300

    played(tmp_path, scene, lambda: now)


def test_the_client_proves_itself_by_basic_too_and_once(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        key = await a_key(town.enter("dev"))
        basic = httpx.BasicAuth(key["key"]["id"], key["secret"])
        nobody = town.by(None)
        assert (await nobody.post(TOKEN, data=GRANT, auth=basic)).status_code == 200
        both = await nobody.post(TOKEN, data={**GRANT, "client_id": key["key"]["id"]}, auth=basic)
        assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
        wrong = httpx.BasicAuth("someone", key["secret"])
        refused = await nobody.post(TOKEN, data=GRANT, auth=wrong)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic")

    played(tmp_path, scene)


def test_what_the_standard_does_not_know_or_has_no_value_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        key = await a_key(town.enter("dev"))
        answer = await exchanged(town, key, scope="", audience="https://data.bank.example", resource="x")
        assert (answer.status_code, answer.json()["scope"]) == (200, "data sample")

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ("grant_type=client_credentials", 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=a&client_secret=dck_live_x", 401, "invalid_client"),
        ("grant_type=password&KEY", 400, "unsupported_grant_type"),
        ("KEY", 400, "invalid_request"),
        ("grant_type=client_credentials&KEY&scope=x", 400, "invalid_scope"),
        ("grant_type=&KEY", 400, "invalid_request"),
        ("grant_type=client_credentials&grant_type=password&KEY", 400, "invalid_request"),
        ("grant_type", 400, "invalid_request"),
        ("client_id=%ff&client_secret=%ff", 400, "invalid_request"),
        ("", 401, "invalid_client"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_standard(tmp_path: Path, form: str, status: int, error: str) -> None:
    async def scene(town: Town) -> None:
        key = await a_key(town.enter("dev"))
        whole = form.replace("KEY", f"client_id={key['key']['id']}&client_secret={key['secret']}")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await town.by(None).post(TOKEN, content=whole, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert key["secret"] not in answer.text

    played(tmp_path, scene)


def test_tokens_that_were_changed_or_are_for_something_else_are_wrong(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        key = await a_key(town.enter("dev"), scopes=["account"])
        text = (await exchanged(town, key)).json()["access_token"]
        head, body, signature = text.split(".")
        unsigned = "eyJhbGciOiJub25lIn0"
        for wrong in (f"{head}.{body}.", f"{unsigned}.{body}.", f"{head}.{body[:-2]}.{signature}", "..", "a.b.c"):
            assert await told(town.by(wrong), ACCOUNTS) == (401, "unauthenticated")
        json_body = await town.by(None).post(TOKEN, json=GRANT)
        assert (json_body.status_code, json_body.json()["error"]) == (400, "invalid_request")

    played(tmp_path, scene)
