"""Tariffs and estimates over HTTP: what a product is offered at, and what a call costs by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from tests.integration.developers import SUBSCRIPTIONS, Town, made
from tests.integration.gateway_scene import told
from tests.integration.money_scene import BASIC, TARIFFS, Clock, played, sold, used


def test_a_publisher_offers_and_withdraws_a_tariff(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann, dev = town.enter("ann", "publisher"), town.enter("dev")
        offered = await made(ann, TARIFFS, **BASIC, quotas=[{"dimension": "rows", "amount": 9, "period": "day"}])
        assert (offered["product"], offered["seller"], offered["tariff"]["price"]) == ("pub.internal", "ann", "0.01")
        assert (await dev.get(TARIFFS)).json() == {"tariffs": [offered]}
        subscription = await made(dev, SUBSCRIPTIONS, product="pub.internal", tariff="basic")
        assert (subscription["tariff"], subscription["quotas"][0]["amount"]) == (offered["id"], 9)
        withdrawn = (await ann.delete(f"{TARIFFS}/basic")).json()
        assert withdrawn["withdrawn_at"] is not None
        assert (await dev.get(TARIFFS)).json() == {"tariffs": []}
        assert (await ann.get(TARIFFS)).json() == {"tariffs": [withdrawn]}
        assert await told(ann, f"{TARIFFS}/basic", method="DELETE") == (404, "unknown_tariff")
        wanted = {"product": "pub.internal", "tariff": "basic"}
        assert await told(town.enter("eve"), SUBSCRIPTIONS, method="POST", json=wanted) == (404, "unknown_tariff")

    played(tmp_path, scene)


def test_an_unlisted_tariff_is_the_publishers_to_tell(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann, dev = town.enter("ann", "publisher"), town.enter("dev")
        offered = await made(ann, TARIFFS, **BASIC, visibility="unlisted")
        assert (await dev.get(TARIFFS)).json() == {"tariffs": []}
        subscription = await made(dev, SUBSCRIPTIONS, product="pub.internal", tariff=offered["id"])
        assert subscription["tariff"] == offered["id"]

    played(tmp_path, scene)


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"price": "-0.01"}, "price"),
    ({"price": "1e5"}, "price"),
    ({"price": "1234567890123"}, "price"),
    ({"price": "0.0000000000001"}, "price"),
    ({"price": 0.01}, "price"),
    ({"price": "NaN"}, "price"),
    ({"price": "٣"}, "price"),
    ({"flat": "-1"}, "flat"),
    ({"included": -1}, "included"),
    ({"included": 2**62 + 1}, "included"),
    ({"per": 0}, "per"),
    ({"currency": "XXX"}, "currency"),
    ({"currency": "cny"}, "currency"),
    ({"unit": "requests"}, "unit"),
    ({"quotas": [{"dimension": "rows", "amount": -5, "period": "day"}]}, "quotas.0.amount"),
    ({"quotas": [{"dimension": "rows", "amount": 2**63, "period": "day"}]}, "quotas.0.amount"),
    ({"burst": {"calls": 0}}, "burst.calls"),
    ({"tiers": [{"up_to": None, "price": "1"}]}, "body"),
    ({"price": None, "tiers": [{"up_to": 5, "price": "1"}]}, "body"),
    ({"price": None, "tiers": [{"up_to": -5, "price": "1"}, {"up_to": None, "price": "1"}]}, "tiers.0.up_to"),
    ({"price": None, "tiers": [{"up_to": n, "price": "1"} for n in (5, 5, None)]}, "body"),
    ({"price": None}, "body"),
    ({"colour": "red"}, "colour"),
)


def test_a_wrong_tariff_is_told_which_field_is_wrong(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann = town.enter("ann", "publisher")
        for wrong, field in WRONG:
            answer = await ann.post(TARIFFS, json={**BASIC, **wrong})
            problem = answer.json()
            found = (answer.status_code, problem["code"], problem["data"]["field"])
            assert found == (400, "bad_tariff", field), wrong
        assert (await ann.get(TARIFFS)).json() == {"tariffs": []}

    played(tmp_path, scene)


def test_a_name_is_offered_once(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann = town.enter("ann", "publisher")
        await made(ann, TARIFFS, **BASIC)
        assert await told(ann, TARIFFS, method="POST", json=BASIC) == (400, "bad_tariff")
        await ann.delete(f"{TARIFFS}/basic")
        await made(ann, TARIFFS, **BASIC)

    played(tmp_path, scene)


def test_tariffs_are_the_publishers(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        bob, dev, theirs = town.enter("bob", "publisher"), town.enter("dev"), town.enter("ann", "admin", "other")
        for stranger, status, code in ((bob, 403, "forbidden"), (dev, 403, "forbidden"), (theirs, 404, "not_found")):
            assert await told(stranger, TARIFFS, method="POST", json=BASIC) == (status, code)
        assert await told(theirs, TARIFFS) == (404, "not_found")
        assert await told(bob, "/v1/products/pub.private/tariffs") == (404, "not_found")

    played(tmp_path, scene)


def test_a_product_says_what_it_costs(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann, dev, _subscription = await sold(town)
        tiers = [{"up_to": 1000, "price": "2"}, {"up_to": None, "price": "0.5"}]
        await made(ann, TARIFFS, name="large", currency="JPY", per=1000, tiers=tiers)
        await made(ann, TARIFFS, **{**BASIC, "name": "secret", "visibility": "unlisted"})
        prices = ["100 CNY/month + 0.01 CNY per row, 50 included", "2 to 0.5 JPY per 1,000 rows"]
        product = (await dev.get("/v1/products/pub.internal")).json()
        assert [(each["name"], each["price_says"]) for each in product["tariffs"]] == list(
            zip(("basic", "large"), prices, strict=True)
        )
        assert product["links"]["tariffs"] == TARIFFS
        found = {each["name"]: each["prices"] for each in (await dev.get("/v1/products")).json()["products"]}
        assert found == {"pub.internal": prices, "pub.listed": []}
        await ann.delete(f"{TARIFFS}/basic")
        assert [each["name"] for each in (await dev.get("/v1/products/pub.internal")).json()["tariffs"]] == ["large"]

    played(tmp_path, scene)


def test_an_estimate_is_the_price_of_the_call_in_this_month(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        town.home.stable("pub.bars")
        ann, dev = town.enter("ann", "publisher"), town.enter("dev")
        tiers = [{"up_to": 100, "price": "1"}, {"up_to": None, "price": "0.1"}]
        await made(ann, "/v1/products/pub.bars/tariffs", name="t", currency="CNY", flat="9", tiers=tiers, included=10)
        subscription = (await made(dev, SUBSCRIPTIONS, product="pub.bars"))["id"]
        await dev.get(SUBSCRIPTIONS)  # the gateway knows it by then
        ask = {"json": {"limit": 20}}

        async def price(client: httpx.AsyncClient) -> tuple[int, Any]:
            said = (await client.post("/v1/products/pub.bars/estimate", **ask)).json()
            assert said["price_says"]
            return said["units"], said["price"] and (said["price"]["currency"], said["price"]["amount"])

        assert await price(dev) == (20, ("CNY", "10.00"))  # ten of them are included
        used(town, subscription, 100, clock())
        assert await price(dev) == (20, ("CNY", "11.00"))  # ten in the first tier, ten in the second
        assert (await price(ann))[1] is None

    played(tmp_path, scene)
