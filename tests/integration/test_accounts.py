"""Accounts and subscriptions over HTTP: who makes, sees, decides and ends what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.developers import ACCOUNTS, KEYS, SUBSCRIPTIONS, Town, a_key, made, played, subscribed
from tests.integration.gateway_scene import told
from tests.products import EARLY

from datacanal.ledger.models import TariffRow
from datacanal.ledger.store import open_ledger
from datacanal.protocol.money import Tariff

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


def test_a_closed_account_has_nothing_that_holds_and_can_be_opened_again(tmp_path: Path, any_database: str) -> None:
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

    played(tmp_path, scene, database=any_database)


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


def test_whoever_is_no_reader_yet_waits_for_the_publisher(tmp_path: Path, any_database: str) -> None:
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

    played(tmp_path, scene, database=any_database)


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


QUOTA = {"dimension": "calls", "amount": 10, "period": "hour", "soft": False}


def offer(town: Town, name: str, withdrawn_at: datetime | None = None, **more: Any) -> str:
    """A tariff of pub.listed; its id."""
    tariff = Tariff.model_validate({"name": name, "currency": "CNY", "price": "0.01", **more})
    row = {"id": f"tar_{name}", "tenant": "default", "principal": "ann", "product": "pub.listed", "name": name}
    store = open_ledger(town.home.home)
    with store.changing() as session:
        session.add(TariffRow(**row, document=tariff.model_dump_json(), created_at=EARLY, withdrawn_at=withdrawn_at))
    store.close()
    return row["id"]


def test_a_subscription_is_held_to_what_its_tariff_says(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        tariff = offer(town, "basic", unit="calls", quotas=[QUOTA], burst={"calls": 3, "window_s": 1})
        made_of = await made(town.enter("dev"), SUBSCRIPTIONS, product="pub.listed")
        assert (made_of["state"], made_of["tariff"], made_of["unit"]) == ("active", tariff, "calls")
        assert (made_of["quotas"], made_of["burst"]) == ([QUOTA], {"calls": 3, "window_s": 1})

    played(tmp_path, scene)


def test_ending_and_asking_again_does_not_begin_a_quota_anew(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        offer(town, "basic", quotas=[QUOTA], included=1000)
        dev, ann = town.enter("dev"), town.enter("ann", "publisher")
        first = await subscribed(dev, "pub.listed")
        await dev.post(f"{SUBSCRIPTIONS}/{first}/end")
        again = await subscribed(dev, "pub.listed", 202)
        assert (await ann.post(f"{SUBSCRIPTIONS}/{again}/approve", json={})).json()["state"] == "active"
        await subscribed(town.enter("other"), "pub.listed", 201)

    played(tmp_path, scene)


def test_a_publisher_who_is_to_approve_may_give_more_than_the_tariff(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        offer(town, "basic", quotas=[QUOTA], burst={"calls": 3, "window_s": 1}, approval=True)
        waiting = await subscribed(town.enter("dev"), "pub.listed", 202)
        quotas = [{**QUOTA, "amount": 100}]
        path = f"{SUBSCRIPTIONS}/{waiting}/approve"
        approved = (await town.enter("ann", "publisher").post(path, json={"quotas": quotas})).json()
        assert (approved["quotas"], approved["burst"]) == (quotas, {"calls": 3, "window_s": 1})

    played(tmp_path, scene)


def test_a_tariff_is_named_where_there_are_several(tmp_path: Path) -> None:
    async def scene(town: Town) -> None:
        offer(town, "basic")
        offer(town, "gold")
        offer(town, "old", withdrawn_at=EARLY)
        hidden = offer(town, "friends", visibility="unlisted")
        dev = town.enter("dev")

        async def asked(**more: str) -> tuple[int, str]:
            return await told(dev, SUBSCRIPTIONS, method="POST", json={"product": "pub.listed", **more})

        assert await asked() == (400, "tariff_needed")
        for unknown in ("silver", "old", "tar_old", "friends"):
            assert await asked(tariff=unknown) == (404, "unknown_tariff")
        assert (await made(dev, SUBSCRIPTIONS, product="pub.listed", tariff="gold"))["tariff"] == "tar_gold"
        friend = await made(town.enter("friend"), SUBSCRIPTIONS, product="pub.listed", tariff=hidden)
        assert friend["tariff"] == hidden

    played(tmp_path, scene)


def test_lists_go_on_page_by_page(tmp_path: Path, any_database: str) -> None:
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

    played(tmp_path, scene, database=any_database)


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "a\u0001b", "\u00a0", "\u0085"])
def test_a_name_is_one_line_of_text(tmp_path: Path, name: str) -> None:
    async def scene(town: Town) -> None:
        dev = town.enter("dev")
        assert await told(dev, ACCOUNTS, method="POST", json={"name": name}) == (400, "bad_field")
        subscription = await subscribed(dev)
        account = (await dev.get(ACCOUNTS)).json()["accounts"][0]["id"]
        assert await told(dev, f"{ACCOUNTS}/{account}", method="PATCH", json={"name": name}) == (400, "bad_field")
        labelled = await dev.post("/v1/keys", json={"subscription": subscription, "name": f"{name}\t"})
        assert labelled.json()["detail"] == "name: one line of text is needed"

    played(tmp_path, scene)
