"""API keys over HTTP: shown once, two at a time, rotated, revoked, and what one may do at the account routes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.developers import ACCOUNTS, KEYS, SUBSCRIPTIONS, Town, a_key, made, played, subscribed
from tests.integration.gateway_scene import told
from tests.products import serving


def test_a_secret_is_shown_once(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        new = await a_key(dev, name="laptop")
        key = new["key"]
        assert new["secret"].startswith(f"dck_live_{key['id']}_")
        assert new["secret"].endswith(key["last_four"])
        assert (key["name"], key["mode"], key["scopes"]) == ("laptop", "live", ["data", "sample"])
        assert (await dev.get(f"{KEYS}/{key['id']}")).json() == key
        assert (await dev.get(KEYS)).json()["keys"] == [key]

    played(tmp_path, scene)


def test_two_keys_of_a_mode_hold_at_a_time(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        first = (await a_key(dev))["key"]
        more = {"subscription": first["subscription"]}
        await made(dev, KEYS, **more)
        assert await told(dev, KEYS, method="POST", json=more) == (409, "too_many_keys")
        await made(dev, KEYS, **more, mode="test")
        await made(dev, KEYS, **more, mode="test")
        assert await told(dev, KEYS, method="POST", json={**more, "mode": "test"}) == (409, "too_many_keys")
        revoked = (await dev.delete(f"{KEYS}/{first['id']}")).json()
        assert revoked["revoked_at"] is not None
        assert (await dev.delete(f"{KEYS}/{first['id']}")).json() == revoked
        await made(dev, KEYS, **more)

    played(tmp_path, scene)


def test_many_at_once_get_no_more_than_one_does(tmp_path: Path, any_database: str) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")

        async def statuses(path: str, body: dict[str, str]) -> list[int]:
            answers = await asyncio.gather(*(dev.post(path, json=body) for _ in range(12)))
            return sorted(answer.status_code for answer in answers)

        assert await statuses(SUBSCRIPTIONS, {"product": "pub.internal"}) == [201, *[409] * 11]
        assert len((await dev.get(ACCOUNTS)).json()["accounts"]) == 1
        [subscription] = (await dev.get(SUBSCRIPTIONS)).json()["subscriptions"]
        assert await statuses(KEYS, {"subscription": subscription["id"]}) == [201, 201, *[409] * 10]

    played(tmp_path, scene, database=any_database)


def test_a_rotated_key_holds_until_the_overlap_is_over(tmp_path: Path, any_database: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    async def scene(town: Town) -> None:
        nonlocal now
        dev = town.enter("dev")
        old = await a_key(dev, scopes=["account"], expires="2026-03-11T00:00:00Z", name="job")
        path = f"{KEYS}/{old['key']['id']}/rotate"
        new = await made(dev, path, overlap_s=60)
        assert {**new["key"], "id": "", "last_four": ""} == {**old["key"], "id": "", "last_four": ""}
        old_one, new_one = town.by(old["secret"]), town.by(new["secret"])
        assert (await old_one.get(ACCOUNTS)).status_code == (await new_one.get(ACCOUNTS)).status_code == 200
        assert await told(dev, path, method="POST", json={}) == (409, "too_many_keys")
        now += timedelta(seconds=60)
        assert await told(old_one, ACCOUNTS) == (401, "key_expired")
        assert (await new_one.get(ACCOUNTS)).status_code == 200
        assert await told(dev, path, method="POST", json={}) == (409, "wrong_state")
        too_long = {"method": "POST", "json": {"overlap_s": 31 * 86400}}
        assert await told(dev, f"{KEYS}/{new['key']['id']}/rotate", **too_long) == (400, "bad_field")
        at_once = await made(dev, f"{KEYS}/{new['key']['id']}/rotate", overlap_s=0)
        assert await told(new_one, ACCOUNTS) == (401, "key_expired")
        assert (await town.by(at_once["secret"]).get(ACCOUNTS)).status_code == 200

    played(tmp_path, scene, lambda: now, database=any_database)


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires": "2020-01-01T00:00:00Z"},
        {"expires": "2999-01-01T00:00:00"},
        {"mode": "both"},
        {"scopes": []},
        {"scopes": ["root"]},
        {"name": "x" * 129},
        {"secret": "mine"},
    ],
)
def test_a_key_that_cannot_be_is_not_made(tmp_path: Path, wrong: dict[str, Any]) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        subscription = await subscribed(dev)
        body = {"subscription": subscription, **wrong}
        assert await told(dev, KEYS, method="POST", json=body) == (400, "bad_field")
        assert (await dev.get(KEYS)).json()["keys"] == []

    played(tmp_path, scene)


def test_a_key_reads_its_own_account_and_changes_nothing(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        ann = town.enter("ann", "publisher")
        waiting = await subscribed(town.enter("dev"), "pub.listed", 202)
        key = await a_key(ann, scopes=["account"])
        by_key = town.by(key["secret"])
        own = [each["id"] for each in (await by_key.get(SUBSCRIPTIONS)).json()["subscriptions"]]
        assert own == [key["key"]["subscription"]]
        assert await told(by_key, f"{SUBSCRIPTIONS}/{waiting}") == (404, "not_found")
        for method, path in (("POST", f"{SUBSCRIPTIONS}/{own[0]}/end"), ("DELETE", f"{KEYS}/{key['key']['id']}")):
            assert await told(by_key, path, method=method) == (403, "key_not_enough")
        data = await made(ann, KEYS, subscription=own[0])
        assert await told(town.by(data["secret"]), ACCOUNTS) == (403, "scope_missing")

    played(tmp_path, scene)


def test_wrong_keys_are_told_apart_only_by_who_has_the_secret(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        new = await a_key(dev, scopes=["account"])
        other = await a_key(town.enter("other"))
        secret, stranger = new["secret"], other["secret"]
        assert await told(town.by(secret[:-1]), ACCOUNTS) == (401, "key_malformed")
        await dev.delete(f"{KEYS}/{new['key']['id']}")
        assert await told(town.by(secret), ACCOUNTS) == (401, "key_revoked")
        town.home.home.joinpath("keys.pepper").write_bytes(b"00" * 32)
        async with serving(town.home) as other_home, other_home.client(stranger) as client:
            assert await told(client, ACCOUNTS) == (401, "key_wrong")

    played(tmp_path, scene)
