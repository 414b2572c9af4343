"""Receipts, reconciliation and adjustments at a gateway, and who sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.ledgers import AT, Ledger, draft
from tests.products import ProductHome, serving
from tests.subscribers import subscribers

from datacanal.domain.metering_errors import ReceiptNotProven
from datacanal.domain.usage import Amounts, Dimension, Period
from datacanal.ledger.signing import ledger_key
from datacanal.protocol.receipts import Receipt
from datacanal.seals import verify_receipt

RECEIPT = draft(3).id
Callers = dict[str, httpx.AsyncClient]
Scene = Callable[[Callers, Ledger], Awaitable[None]]
PEOPLE = {"ann": ("developer", "default"), "pub": ("publisher", "default"), "admin": ("admin", "default"),
          "eve": ("developer", "default"), "stranger": ("admin", "other")}  # fmt: skip


def played(folder: Path, scene: Scene) -> None:
    """Five calls of `ann`, whose account is `acc_1`, of the product of `pub`."""

    async def play() -> None:
        home = ProductHome(folder)
        home.stable("pub.bars", owner="pub")
        tokens = {name: home.token(name, role, tenant=tenant) for name, (role, tenant) in PEOPLE.items()}
        ledger = Ledger(home.home)
        ledger.subscribed()
        ledger.add(*map(draft, range(1, 6)))
        async with serving(home) as running:
            callers = {name: running.client(token) for name, token in tokens.items()}
            await scene(callers, ledger)
            for client in callers.values():
                await client.aclose()
        ledger.close()

    asyncio.run(play())


async def sealed(client: httpx.AsyncClient, receipt: str = RECEIPT) -> dict[str, Any]:
    """The receipt with its proof, as soon as it is sealed."""
    while True:
        found = (await client.get(f"/v1/receipts/{receipt}?proof=true")).json()
        if found["state"] == "sealed":
            return dict(found)


def adjustment(**more: Any) -> dict[str, Any]:
    return {"receipt": RECEIPT, "units": -10, "reason": "late data", **more}


async def adjust(client: httpx.AsyncClient, key: str = "k", **more: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return await client.post("/v1/ledger/adjustments", json=adjustment(**more), headers=headers)


def test_a_receipt_proves_itself_by_the_public_key_alone(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        document = await sealed(callers["ann"])
        public = (await callers["ann"].get("/v1/ledger/key")).json()["public"]
        receipt = Receipt.model_validate(document)
        verify_receipt(receipt, public)
        assert len(document["proof"]["after"]) == 2
        assert document["checkpoint"] == (await callers["eve"].get("/v1/ledger/checkpoints/latest")).json()
        wrong = [
            receipt.model_copy(update={"rows": 1}),
            receipt.model_copy(update={"proof": None}),
            receipt.model_copy(update={"seq": 4}),
            Receipt.model_validate({**document, "proof": {**document["proof"], "after": []}}),
            Receipt.model_validate({**document, "checkpoint": {**document["checkpoint"], "number": 2}}),
        ]
        for each in wrong:
            with pytest.raises(ReceiptNotProven):
                verify_receipt(each, public)
        with pytest.raises(ReceiptNotProven, match="not signed by this key"):
            verify_receipt(receipt, "00" * 32)

    played(tmp_path, scene)


def test_a_call_under_way_is_reserved(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        ledger.hold(9, Amounts(1, 500, 100, 5))
        found = (await callers["ann"].get(f"/v1/receipts/{draft(9).id}")).json()
        assert (found["state"], found["rows"], found["units"], found["seq"]) == ("reserved", 500, 500, None)

    played(tmp_path, scene)


@pytest.mark.parametrize("name", ["eve", "stranger", "pub"])
def test_a_receipt_of_somebody_else_does_not_exist(tmp_path: Path, name: str) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        foreign = await callers[name].get(f"/v1/receipts/{RECEIPT}")
        absent = await callers["ann"].get("/v1/receipts/rcp_none")
        assert (foreign.status_code, absent.status_code) == (404, 404)
        assert foreign.json()["code"] == absent.json()["code"] == "not_found"
        body = {"receipts": [RECEIPT], "account": "acc_1"}
        assert (await callers[name].post("/v1/receipts/reconcile", json=body)).status_code == 404
        del body["account"]
        assert (await callers[name].post("/v1/receipts/reconcile", json=body)).json()["missing"] == [RECEIPT]

    played(tmp_path, scene)


def test_admins_of_the_tenant_see_every_receipt_of_it(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        assert (await callers["admin"].get(f"/v1/receipts/{RECEIPT}")).status_code == 200
        body = {"receipts": [], "account": "acc_1"}
        found = (await callers["admin"].post("/v1/receipts/reconcile", json=body)).json()
        assert len(found["unnamed"]) == 5

    played(tmp_path, scene)


def test_reconciling_tells_what_is_missing_on_either_side(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        ledger.hold(9, Amounts(1, 500))
        named = [draft(1).id, {"id": draft(2).id, "rows": 20}, {"id": RECEIPT, "rows": 7, "calls": 1}, "rcp_lost"]
        body = {"receipts": [*named, draft(9).id], "period": "2026-11"}
        found = (await callers["ann"].post("/v1/receipts/reconcile", json=body)).json()
        assert found["matched"] == 2
        assert found["missing"] == ["rcp_lost"]
        assert found["reserved"] == [draft(9).id]
        assert [each["id"] for each in found["unnamed"]] == [draft(4).id, draft(5).id]
        assert found["differing"] == [{"id": RECEIPT, "field": "rows", "given": 7, "recorded": 30}]
        earlier = (await callers["ann"].post("/v1/receipts/reconcile", json={**body, "period": "2026-10"})).json()
        assert earlier["unnamed"] == []

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"since": "2026-11-01T00:00:00"}, "since"),
        ({"period": "2026-11", "until": "2026-11-01T00:00:00Z"}, "period"),
        ({"period": "2026-13"}, "period"),
        ({"period": "0000-01"}, "period"),
        ({"since": "0001-01-01T00:00:00+23:59"}, "since"),
        ({"receipts": ["x"] * 10_001}, "receipts"),
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "until"),
        ({"period": "9999-12"}, "period"),
        ({"receipts": [{"id": "rcp_1", "rows": "3"}]}, "receipts.0.receipt.rows"),
        ({"receipts": [{"id": "rcp_1", "cows": 3}]}, "receipts.0.receipt.cows"),
        ({"receipts": ["rcp_1", 5]}, "receipts.1"),
    ],
)
def test_what_cannot_be_reconciled_is_named(tmp_path: Path, wrong: dict[str, Any], field: str) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        answer = await callers["ann"].post("/v1/receipts/reconcile", json={"receipts": [], **wrong})
        assert answer.status_code == 400
        assert answer.json()["data"]["field"].startswith(field)

    played(tmp_path, scene)


@pytest.mark.parametrize("name", ["pub", "admin"])
def test_a_publisher_gives_back_once_and_the_meters_follow(tmp_path: Path, name: str) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        for dimension, used in zip(Dimension, (5, 150, 5015, 15), strict=True):
            ledger.meter(dimension.value, Period.MONTH, used)
        first, again = await adjust(callers[name]), await adjust(callers[name])
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        made = first.json()
        assert (made["units"], made["rows"], made["corrects"], made["account_id"]) == (-10, -10, RECEIPT, "acc_1")
        assert made["reserved_at"] == AT.isoformat().replace("+00:00", "Z")
        assert (await adjust(callers[name], units=-9)).json()["code"] == "idempotency_conflict"
        report = ledger.report()
        assert (report.count, report.faults) == (6, ())
        assert (await callers["ann"].get(first.headers["location"])).json()["reason"] == "late data"

    played(tmp_path, scene)


def test_no_more_is_given_back_than_the_call_came_to(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        assert (await adjust(callers["pub"], "one", units=-20)).status_code == 201
        refused = await adjust(callers["pub"], "two", units=-11)
        assert refused.json()["code"] == "bad_amount"
        assert "came to 10 after" in refused.json()["detail"]
        assert (await adjust(callers["pub"], "three", units=-10)).status_code == 201

    played(tmp_path, scene)


@pytest.mark.parametrize(
    "amounts",
    [
        {"units": 0},
        {"units": 10**15 + 1},
        {"units": -(2**70)},
        {"units": 5, "rows": 6},
        {"units": 10**15},
        {"units": 0, "calls": -2},
    ],
)
def test_amounts_that_cannot_be_are_refused_and_nothing_is_written(tmp_path: Path, amounts: dict[str, int]) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        refused = await adjust(callers["pub"], **amounts)
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_amount")
        assert ledger.report().count == 5

    played(tmp_path, scene)


def test_only_who_publishes_corrects_and_never_a_correction(tmp_path: Path) -> None:
    async def scene(callers: Callers, ledger: Ledger) -> None:
        for name in ("ann", "eve", "stranger"):
            assert (await adjust(callers[name])).status_code == 404
        assert (await callers["pub"].post("/v1/ledger/adjustments", json=adjustment())).status_code == 400
        made = (await adjust(callers["pub"])).json()["id"]
        refused = await adjust(callers["pub"], "other", receipt=made)
        assert refused.json()["code"] == "bad_amount"

    played(tmp_path, scene)


def test_the_receipt_of_a_metered_call_is_proven_by_its_keys_account_alone(tmp_path: Path) -> None:
    async def play() -> None:
        home = ProductHome(tmp_path)
        home.stable("pub.bars")
        ledger = Ledger(home.home)
        people = subscribers(ledger.store, home.home)
        own, other = (people.subscription(name, "pub.bars") for name in ("ann", "eve"))
        keys = [people.key(own), people.key(other), people.key(own, scopes=("data",))]
        async with serving(home) as running:
            ann, eve, narrow = (running.client(key) for key in keys)
            receipt = (await ann.get("/v1/products/pub.bars/data?limit=7")).headers["datacanal-receipt"]
            found = Receipt.model_validate(await sealed(ann, receipt))
            assert (found.rows, found.subscription_id) == (7, own)
            verify_receipt(found, ledger_key(home.home).public)
            assert (await eve.get(f"/v1/receipts/{receipt}")).status_code == 404
            assert (await narrow.get(f"/v1/receipts/{receipt}")).json()["code"] == "scope_missing"
            body = {"receipts": [{"id": receipt, "rows": 7}]}
            assert (await ann.post("/v1/receipts/reconcile", json=body)).json()["matched"] == 1
            assert (await eve.post("/v1/receipts/reconcile", json=body)).json()["missing"] == [receipt]
            assert (await adjust(ann, receipt=receipt)).status_code == 403
            for client in (ann, eve, narrow):
                await client.aclose()
        assert ledger.report().faults == ()
        ledger.close()

    asyncio.run(play())


def test_a_gateway_that_cannot_copy_its_checkpoints_says_so_in_its_health(tmp_path: Path) -> None:
    async def play() -> None:
        home = ProductHome(tmp_path)
        ledger = Ledger(home.home)
        async with serving(home, checkpoints=tmp_path / "missing" / "copy") as running, running.client(None) as client:
            assert (await client.get("/health")).json()["ledger"] == "sealed"
            ledger.add(draft(1))
            while (await client.get("/health")).json()["ledger"] == "sealed":
                pass
            assert (await client.get("/health")).json()["status"] == "not_sealed"
        ledger.close()

    asyncio.run(play())
