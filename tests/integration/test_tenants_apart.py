"""Every route with an id in its address, asked by another tenant with the ids of the first: nothing is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.integration.developers import KEYS, Town, made
from tests.integration.money_scene import BASIC, TARIFFS, Clock, closed, played, sold, used

BODIES: dict[str, dict[str, Any]] = {
    "/v1/accounts/{account}": {"name": "mine"},
    "/v1/accounts/{account}/webhook": {"url": "https://hooks.example.com/x"},
    "/v1/subscriptions/{subscription}/refuse": {"reason": "no"},
    "/v1/invoices/{invoice}/credit-notes": {"reason": "no"},
    "/v1/products/{product}/tariffs": {**BASIC, "name": "mine"},
}
STRANGERS = ("admin", "publisher", "developer")


async def belongings(town: Town, clock: Clock) -> dict[str, str]:
    """By the name of the parameter: something of the first tenant's."""
    _, dev, subscription = await sold(town)
    key = await made(dev, KEYS, subscription=subscription)
    account = (await dev.get("/v1/accounts")).json()["accounts"][0]["id"]
    tariff = (await dev.get(TARIFFS)).json()["tariffs"][0]["id"]
    receipt = used(town, subscription, 100, clock())
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    [invoice] = await closed(town)
    return {
        "account": account, "subscription": subscription, "key": key["key"]["id"], "product": "pub.internal",
        "tariff": tariff, "invoice": invoice["id"], "line": "1", "receipt": receipt,
    }  # fmt: skip


def test_no_route_tells_another_tenant_of_what_is_there(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ids = await belongings(town, clock)
        routes = (await town.enter("root", "admin").get("/v1/openapi.json")).json()["paths"]
        addressed = [(path, method) for path in routes if "{" in path for method in routes[path]]
        names = {part.split("}")[0] for path, _ in addressed for part in path.split("{")[1:]}
        assert names <= set(ids), "a parameter that this test has no id for"
        there = 0
        for role in STRANGERS:
            stranger = town.enter("mallory", role, tenant="other")
            for path, method in addressed:
                answer = await stranger.request(method.upper(), path.format(**ids), json=BODIES.get(path, {}))
                # Of a role that may never do it, whosever it is, nothing is looked up.
                refused_by_role = role != "admin" and answer.status_code == 403 and answer.json()["code"] == "forbidden"
                assert answer.status_code == 404 or refused_by_role, (role, method, path, answer.status_code)
                there += answer.status_code == 404
        assert there >= len(addressed)

    played(tmp_path, scene)
