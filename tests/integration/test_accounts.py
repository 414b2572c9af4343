"""Accounts, subscriptions and keys over HTTP: who makes, sees, decides and ends what."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.developers import ACCOUNTS, KEYS, SUBSCRIPTIONS, Town, a_key, made, played, subscribed
from tests.integration.gateway_scene import told
from tests.products import serving

from datacanal.ledger import DATABASE

# ---------------------------------------------------------------- accounts


def test_the_first_subscription_makes_the_account(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        assert (await dev.get(ACCOUNTS)).json()["accounts"] == []
        subscription = await made(dev, SUBSCRIPTIONS, product="pub.internal", purpose="to see")
        assert (subscription["state"], subscription["purpose"], subscription["quotas"]) == ("active", "to see", [])
        [account] = (await dev.get(ACCOUNTS)).json()["accounts"]
        assert (account["id"], account["name"], account["principal"]) == (subscription["account"], "dev", "dev")
        assert await told(dev, ACCOUNTS, method="POST", json={"name": "x"}) == (409, "account_exists")

    played(tmp_path, scene)


def test_an_account_is_renamed_to_a_free_name(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev, other = town.enter("dev"), town.enter("other")
        account, taken = await made(dev, ACCOUNTS, name="Lab"), await made(other, ACCOUNTS, name="Desk")
        path = f"{ACCOUNTS}/{account['id']}"
        assert (await dev.patch(path, json={"name": "Laboratory"})).json()["name"] == "Laboratory"
        assert (await dev.patch(path, json={})).json()["name"] == "Laboratory"
        assert await told(dev, path, method="PATCH", json={"name": taken["name"]}) == (409, "account_exists")
        assert await told(dev, path, method="PATCH", json={"name": ""}) == (400, "bad_field")
        assert await told(dev, path, method="PATCH", json={"principal": "ann"}) == (400, "bad_field")

    played(tmp_path, scene)


def test_an_account_made_by_a_subscription_gets_a_name_that_is_free(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        await made(town.enter("other"), ACCOUNTS, name="dev")
        dev = town.enter("dev")
        await subscribed(dev)
        [account] = (await dev.get(ACCOUNTS)).json()["accounts"]
        assert account["name"] == f"dev-{account['id'][-6:]}"

    played(tmp_path, scene)


def test_a_closed_account_has_nothing_that_holds_and_can_be_opened_again(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        key = await a_key(dev, scopes=["account"])
        by_key = town.by(key["secret"])
        [account] = (await by_key.get(ACCOUNTS)).json()["accounts"]
        closed = await dev.post(f"{ACCOUNTS}/{account['id']}/close")
        assert closed.json()["closed_at"] is not None
        assert (await dev.post(f"{ACCOUNTS}/{account['id']}/close")).json() == closed.json()
        assert (await dev.get(f"{SUBSCRIPTIONS}/{key['key']['subscription']}")).json()["state"] == "ended"
        assert await told(by_key, ACCOUNTS) == (403, "subscription_not_active")
        again = {"method": "POST", "json": {"product": "pub.internal"}}
        assert await told(dev, SUBSCRIPTIONS, **again) == (409, "account_closed")
        opened = await made(dev, ACCOUNTS, name="dev anew")
        assert (opened["id"], opened["closed_at"]) == (account["id"], None)
        await subscribed(dev)

    played(tmp_path, scene)


def test_administrators_see_every_account_of_their_tenant_and_act_for_it(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev, admin = town.enter("dev"), town.enter("root", "admin")
        account = await made(dev, ACCOUNTS, name="Lab")
        await made(town.enter("dev", tenant="other"), ACCOUNTS, name="Lab")
        assert [each["id"] for each in (await admin.get(ACCOUNTS)).json()["accounts"]] == [account["id"]]
        subscription = await made(admin, SUBSCRIPTIONS, product="pub.internal", account=account["id"])
        assert (subscription["account"], subscription["principal"]) == (account["id"], "root")
        assert (await dev.get(f"{SUBSCRIPTIONS}/{subscription['id']}")).status_code == 200

    played(tmp_path, scene)


# ---------------------------------------------------------------- subscriptions


def test_whoever_is_no_reader_yet_waits_for_the_publisher(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev, ann = town.enter("dev"), town.enter("ann", "publisher")
        waiting = await subscribed(dev, "pub.listed", 202)
        assert await told(dev, KEYS, method="POST", json={"subscription": waiting}) == (403, "subscription_not_active")
        [seen] = (await ann.get(f"{SUBSCRIPTIONS}?state=pending")).json()["subscriptions"]
        assert seen["id"] == waiting
        quotas = [{"dimension": "rows", "amount": 1000, "period": "day", "soft": False}]
        approval = {"quotas": quotas, "burst": {"calls": 5, "window_s": 2}}
        approved = (await ann.post(f"{SUBSCRIPTIONS}/{waiting}/approve", json=approval)).json()
        assert (approved["state"], approved["decided_by"], approved["quotas"]) == ("active", "ann", quotas)
        assert approved["burst"] == {"calls": 5, "window_s": 2}
        assert approved == (await dev.get(f"{SUBSCRIPTIONS}/{waiting}")).json()
        again = await told(ann, f"{SUBSCRIPTIONS}/{waiting}/refuse", method="POST", json={"reason": "no"})
        assert again == (409, "wrong_state")

    played(tmp_path, scene)


def test_a_refusal_has_a_reason_and_leaves_the_way_open(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev, ann = town.enter("dev"), town.enter("ann", "publisher")
        waiting = await subscribed(dev, "pub.listed", 202)
        path = f"{SUBSCRIPTIONS}/{waiting}/refuse"
        assert await told(ann, path, method="POST", json={"reason": ""}) == (400, "bad_field")
        refused = (await ann.post(path, json={"reason": "no contract"})).json()
        assert (refused["state"], refused["reason"]) == ("refused", "no contract")
        assert await told(dev, f"{SUBSCRIPTIONS}/{waiting}/end", method="POST") == (409, "wrong_state")
        assert await subscribed(dev, "pub.listed", 202) != waiting

    played(tmp_path, scene)


def test_a_product_is_subscribed_to_once_at_a_time(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        first = await subscribed(dev)
        again = {"method": "POST", "json": {"product": "pub.internal"}}
        assert await told(dev, SUBSCRIPTIONS, **again) == (409, "subscription_exists")
        ended = (await dev.post(f"{SUBSCRIPTIONS}/{first}/end")).json()
        assert ended["state"] == "ended"
        assert (await dev.post(f"{SUBSCRIPTIONS}/{first}/end")).json() == ended
        assert await subscribed(dev) != first

    played(tmp_path, scene)


def test_a_private_product_is_its_readers_to_ask_for(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        ask = {"method": "POST", "json": {"product": "pub.private"}}
        assert await told(town.enter("dev"), SUBSCRIPTIONS, **ask) == (404, "not_found")
        await subscribed(town.enter("reader"), "pub.private", 202)
        await subscribed(town.enter("ann", "publisher"), "pub.private", 201)

    played(tmp_path, scene)


def test_only_who_publishes_a_product_decides_on_its_subscriptions(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev, eve = town.enter("eve"), town.enter("eve", "publisher")
        waiting = await subscribed(dev, "pub.listed", 202)
        path = f"{SUBSCRIPTIONS}/{waiting}/approve"
        assert await told(dev, path, method="POST", json={}) == (403, "forbidden")
        assert await told(eve, path, method="POST", json={}) == (403, "forbidden")
        assert await told(town.enter("mallory", "publisher"), path, method="POST", json={}) == (404, "not_found")
        root = town.enter("root", "admin")
        assert (await root.post(path, json={})).json()["state"] == "active"

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("approval", "code"),
    [
        ({"quotas": [{"dimension": "rows", "amount": -1, "period": "day"}]}, "bad_amount"),
        ({"quotas": [{"dimension": "rows", "amount": 2**63, "period": "day"}]}, "bad_amount"),
        ({"burst": {"calls": 0}}, "bad_amount"),
        ({"burst": {"calls": 1, "window_s": 10**30}}, "bad_amount"),
        ({"quotas": [{"dimension": "rows", "amount": 1, "period": "week"}]}, "bad_field"),
        ({"quotas": [{"dimension": "rows", "amount": 1, "period": "day"}] * 2}, "bad_field"),
        ({"quota": []}, "bad_field"),
    ],
)
def test_quotas_that_cannot_be_are_refused(tmp_path: Path, approval: dict[str, Any], code: str) -> None:
    async def scene(town: Town) -> None:
        waiting = await subscribed(town.enter("dev"), "pub.listed", 202)
        path = f"{SUBSCRIPTIONS}/{waiting}/approve"
        assert await told(town.enter("ann", "publisher"), path, method="POST", json=approval) == (400, code)

    played(tmp_path, scene)


def test_an_unknown_tariff_is_told(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        ask = {"method": "POST", "json": {"product": "pub.internal", "tariff": "gold"}}
        assert await told(town.enter("dev"), SUBSCRIPTIONS, **ask) == (404, "unknown_tariff")

    played(tmp_path, scene)


def test_lists_go_on_page_by_page(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        ids = [await subscribed(dev, name, status) for name, status in (("pub.internal", 201), ("pub.listed", 202))]
        walked: list[str] = []
        path: str | None = f"{SUBSCRIPTIONS}?limit=1"
        while path is not None:
            page = (await dev.get(path)).json()
            walked += [each["id"] for each in page["subscriptions"]]
            path = page["page"]["next"]
        assert walked == ids[::-1]
        following = (await dev.get(f"{SUBSCRIPTIONS}?limit=1")).json()["page"]["next"]
        assert await told(dev, f"{following}&state=active") == (400, "bad_cursor")
        assert await told(dev, f"{SUBSCRIPTIONS}?cursor=abc") == (400, "bad_cursor")
        assert await told(dev, f"{SUBSCRIPTIONS}?limit=0") == (400, "bad_field")
        assert await told(dev, f"{SUBSCRIPTIONS}?sort=id") == (400, "bad_field")

    played(tmp_path, scene)


# ---------------------------------------------------------------- keys


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


def test_a_rotated_key_holds_until_the_overlap_is_over(tmp_path: Path) -> None:
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

    played(tmp_path, scene, lambda: now)


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


# ---------------------------------------------------------------- strangers


async def owned_ids(town: Town) -> list[str]:
    """The addresses of everything that a developer of the first tenant has."""
    dev = town.enter("dev")
    key = (await a_key(dev))["key"]
    [account] = (await dev.get(ACCOUNTS)).json()["accounts"]
    waiting = await subscribed(dev, "pub.listed", 202)
    kept = (f"{SUBSCRIPTIONS}/{each}" for each in (waiting, key["subscription"]))
    return [f"{ACCOUNTS}/{account['id']}", f"{KEYS}/{key['id']}", *kept]


VERBS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("GET", "", None),
    ("PATCH", "", {"name": "mine"}),
    ("DELETE", "", None),
    ("POST", "/close", None),
    ("POST", "/rotate", {}),
    ("POST", "/approve", {}),
    ("POST", "/refuse", {"reason": "no"}),
    ("POST", "/end", None),
)


def test_what_belongs_to_somebody_else_does_not_exist(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        paths = await owned_ids(town)
        strangers = [
            town.enter("mallory"),
            town.enter("mallory", "publisher"),
            town.enter("dev", tenant="other"),
            town.enter("root", "admin", tenant="other"),
            town.enter("ann", "publisher", tenant="other"),
        ]
        before = await contents(town)
        asked = 0
        for stranger in strangers:
            for path in paths:
                for method, verb, body in VERBS:
                    answer = await stranger.request(method, path + verb, json=body)
                    # A developer may decide on no subscription, whosever it is; 405: there is no such route at all.
                    assert answer.status_code in ((403, 404, 405) if verb in ("/approve", "/refuse") else (404, 405))
                    asked += answer.status_code == 404
            body = {"subscription": paths[-1].rpartition("/")[2]}
            assert await told(stranger, KEYS, method="POST", json=body) == (404, "not_found")
            query = f"?subscription={body['subscription']}"
            assert await told(stranger, KEYS + query) == (404, "not_found")
            account = paths[0].rpartition("/")[2]
            ask = {"product": "pub.internal", "account": account}
            assert await told(stranger, SUBSCRIPTIONS, method="POST", json=ask) == (404, "not_found")
            for path, kind in ((ACCOUNTS, "accounts"), (SUBSCRIPTIONS, "subscriptions"), (KEYS, "keys")):
                assert (await stranger.get(path)).json()[kind] == []
        assert asked > 100
        assert await contents(town) == before

    played(tmp_path, scene)


@pytest.mark.parametrize("name", ["%00", "%ff", "%ED%A0%80", "é", "x" * 5000, "' OR 1=1 --"])
def test_a_text_that_is_no_id_is_not_found(tmp_path: Path, name: str) -> None:
    async def scene(town: Town) -> None:
        for path in (ACCOUNTS, SUBSCRIPTIONS, KEYS):
            assert await told(town.enter("root", "admin"), f"{path}/{name}") == (404, "not_found")

    played(tmp_path, scene)


def test_operators_stewards_and_nobody_have_no_account(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        for role in ("operator", "steward"):
            assert await told(town.enter("x", role), ACCOUNTS) == (403, "forbidden")
        assert await told(town.by(None), ACCOUNTS) == (401, "unauthenticated")
        assert await told(town.by("dct_a_b"), ACCOUNTS) == (401, "unauthenticated")

    played(tmp_path, scene)


def test_a_dump_of_the_database_holds_no_usable_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        new = await a_key(dev, mode="test")
        rotated = await made(dev, f"{KEYS}/{new['key']['id']}/rotate")
        for secret in (new["secret"], rotated["secret"]):
            wrong = await town.by(secret[:-1]).get(ACCOUNTS)
            inner = secret.split("_")[3]
            said = capfd.readouterr()
            everywhere = await contents(town) + wrong.text + said.out + said.err
            assert secret not in everywhere
            assert inner[:20] not in everywhere
            assert secret.split("_")[2] in await contents(town)

    played(tmp_path, scene)


async def contents(town: Town) -> str:
    """All tables of the book as text."""
    with sqlite3.connect(town.home.home / DATABASE) as book:
        return "\n".join(book.iterdump())
