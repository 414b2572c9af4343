"""Usage, invoices, credit notes and margins over HTTP: who makes and sees what."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.integration.developers import Town, a_key, made
from tests.integration.gateway_scene import told
from tests.integration.money_scene import INVOICES, Clock, closed, played, sold, the_book, used
from tests.products import bars

from datacanal.domain.usage import EventKind, Outcome
from datacanal.ledger.book import Draft, append
from datacanal.state.product_models import VersionRow

# ---------------------------------------------------------------- usage


def test_usage_is_counted_by_day_product_subscription_and_key(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        _ann, dev, subscription = await sold(town)
        first = clock()
        for units, at in ((60, first), (30, first + timedelta(days=2))):
            used(town, subscription, units, at)
        clock.at += timedelta(days=3)
        by = {each: (await dev.get("/v1/usage", params={"group_by": each})).json() for each in
              ("day", "product", "subscription", "key")}  # fmt: skip
        assert {each["period"] for each in by.values()} == {"2026-10"}
        assert [(each["key"], each["units"], each["money"]) for each in by["day"]["lines"]] == [
            ("2026-10-01", 60, None), ("2026-10-03", 30, None),
        ]  # fmt: skip
        due = [{"currency": "CNY", "amount": "100.40"}]
        assert [(each["key"], each["rows"], each["money"]) for each in by["product"]["lines"]] == [
            ("pub.internal", 90, due)
        ]
        assert [(each["key"], each["calls"], each["money"]) for each in by["subscription"]["lines"]] == [
            (subscription, 2, due)
        ]
        assert [(each["key"], each["product"]) for each in by["key"]["lines"]] == [("key_1", "pub.internal")]
        assert {(each["total"]["units"], each["total"]["calls"]) for each in by.values()} == {(90, 2)}
        assert all(each["money"] == due for each in by.values())
        other = (await dev.get("/v1/usage", params={"product": "pub.listed"})).json()
        assert (other["lines"], other["money"]) == ([], [])
        assert (await dev.get("/v1/usage?period=2026-09")).json()["money"] == []
        assert await told(dev, "/v1/usage?period=2026-13") == (400, "bad_field")
        assert await told(dev, "/v1/usage?month=2026-10") == (400, "bad_field")

    played(tmp_path, scene)


def test_a_publisher_sees_what_its_product_was_used_for(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ann, dev, subscription = await sold(town)
        used(town, subscription, 60, clock())
        path = "/v1/products/pub.internal/usage"
        found = (await ann.get(f"{path}?group_by=subscription")).json()
        assert [(each["key"], each["units"]) for each in found["lines"]] == [(subscription, 60)]
        assert found["money"] == [{"currency": "CNY", "amount": "100.10"}]
        assert await told(dev, path) == (403, "forbidden")
        assert await told(town.enter("bob", "publisher"), path) == (403, "forbidden")
        assert await told(town.enter("ann", "publisher", "other"), path) == (404, "not_found")

    played(tmp_path, scene)


def test_usage_of_a_name_in_another_tenant_is_not_shown(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        draft = {"kind": EventKind.USAGE, "outcome": Outcome.COMPLETE, "request_id": "req:1", "unit": "rows"}
        with the_book(town) as book, book.store.writing() as connection:
            event = Draft(id="rcp_1", tenant="default", principal="dev", account_id="internal:dev", rows=7, calls=1,
                          product="pub.internal", reserved_at=clock(), **draft)  # type: ignore[arg-type]  # fmt: skip
            append(connection, [event], clock())
        mine = (await town.enter("dev").get("/v1/usage?group_by=subscription")).json()
        assert [(each["key"], each["rows"], each["money"]) for each in mine["lines"]] == [("internal", 7, [])]
        assert (await town.enter("dev", tenant="other").get("/v1/usage")).json()["lines"] == []

    played(tmp_path, scene)


# ---------------------------------------------------------------- invoices


def test_a_closed_month_has_an_invoice_that_expands_to_its_receipts(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ann, dev, subscription = await sold(town)
        receipts = [used(town, subscription, units, clock()) for units in (40, 30, 5)]
        [preview] = (await dev.get(f"{INVOICES}/preview")).json()["invoices"]
        assert (preview["id"], preview["number"], preview["total"], preview["issued_at"]) == (
            "preview", "preview", "100.25", None,
        )  # fmt: skip
        assert (await dev.get(INVOICES)).json() == {"invoices": [], "next": None}
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        [invoice] = await closed(town)
        assert (invoice["number"], invoice["total"]) == ("INV-2026-10-000001", "100.25")
        assert await closed(town) == [invoice]
        for reader in (dev, ann, town.enter("root", "admin")):
            assert (await reader.get(INVOICES)).json()["invoices"] == [invoice]
            assert (await reader.get(f"{INVOICES}/{invoice['id']}")).json() == invoice
        assert [(each["item"], each["units"], each["receipts"]) for each in invoice["lines"]] == [
            ("flat", 1, 0), ("included", 50, 3), ("units", 25, 3),
        ]  # fmt: skip
        lines = f"{INVOICES}/{invoice['id']}/lines"
        first = (await dev.get(f"{lines}/3/receipts?limit=2")).json()
        rest = (await dev.get(f"{lines}/3/receipts?limit=2&after={first['next']}")).json()
        shown = [*first["receipts"], *rest["receipts"]]
        assert ([each["receipt"] for each in shown], rest["next"]) == (receipts, None)
        assert sum(each["units"] for each in shown) == 75
        assert (await dev.get(f"{lines}/1/receipts")).json() == {"receipts": [], "next": None}
        assert await told(dev, f"{lines}/4/receipts") == (404, "not_found")
        assert (await dev.get(f"{INVOICES}?period=2026-11")).json()["invoices"] == []

    played(tmp_path, scene)


def test_an_invoice_is_for_its_parties_alone(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        _ann, _dev, subscription = await sold(town)
        used(town, subscription, 1, clock())
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        [invoice] = await closed(town)
        path = f"{INVOICES}/{invoice['id']}"
        strangers = [town.enter("eve"), town.enter("bob", "publisher"), town.enter("dev", "admin", "other")]
        for stranger in strangers:
            assert (await stranger.get(INVOICES)).json()["invoices"] == []
            for each in (path, f"{path}/lines/1/receipts"):
                assert await told(stranger, each) == (404, "not_found")
            preview = f"{INVOICES}/preview?account={invoice['account']['id']}"
            assert await told(stranger, preview) == (404, "not_found")
            assert await told(stranger, f"/v1/usage?account={invoice['account']['id']}") == (404, "not_found")
        for stranger in strangers[1:]:
            reason = {"method": "POST", "json": {"reason": "because"}}
            assert await told(stranger, f"{path}/credit-notes", **reason) == (404, "not_found")

    played(tmp_path, scene)


def test_a_key_for_the_account_reads_its_invoices(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ann, dev, subscription = await sold(town)
        used(town, subscription, 1, clock())
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        [invoice] = await closed(town)
        key = await made(dev, "/v1/keys", subscription=subscription, scopes=["account"])
        by_key = town.by(key["secret"])
        assert (await by_key.get(INVOICES)).json()["invoices"] == [invoice]
        assert (await by_key.get("/v1/usage?period=2026-10")).json()["total"]["units"] == 1
        of_ann = town.by((await a_key(ann, scopes=["account"]))["secret"])  # ann as a developer, not as the publisher
        assert (await of_ann.get(INVOICES)).json()["invoices"] == []

    played(tmp_path, scene)


def test_a_month_is_closed_by_admins_when_it_is_over(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        await sold(town)
        admin = town.enter("root", "admin")
        path = f"{INVOICES}/close"
        assert await told(admin, path, method="POST", json={"period": "2026-10"}) == (409, "period_open")
        assert await told(admin, path, method="POST", json={"period": "2026-1"}) == (400, "bad_field")
        assert await told(admin, path, method="POST", json={"period": "9999-12"}) == (400, "bad_field")
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        for name, role in (("ann", "publisher"), ("dev", "developer")):
            wanted = {"method": "POST", "json": {"period": "2026-10"}}
            assert await told(town.enter(name, role), path, **wanted) == (403, "forbidden")
        assert [each["total"] for each in await closed(town)] == ["100.00"]

    played(tmp_path, scene)


def test_a_credit_note_is_issued_by_the_seller_for_what_was_corrected(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ann, dev, subscription = await sold(town)
        receipt = used(town, subscription, 150, clock())
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        [invoice] = await closed(town)
        notes = f"{INVOICES}/{invoice['id']}/credit-notes"
        wanted = {"method": "POST", "json": {"reason": "wrong rows"}}
        assert await told(ann, notes, **wanted) == (409, "nothing_to_credit")
        assert await told(dev, notes, **wanted) == (403, "forbidden")
        with the_book(town) as book:
            correction = book.adjust(receipt, -40, clock())
        note = await made(ann, notes, reason="wrong rows")
        assert (note["number"], note["kind"], note["corrects"], note["total"], note["reason"]) == (
            "CRN-2026-11-000001", "credit_note", invoice["number"], "-0.40", "wrong rows",
        )  # fmt: skip
        assert await told(ann, notes, **wanted) == (409, "nothing_to_credit")
        assert await told(ann, f"{INVOICES}/{note['id']}/credit-notes", **wanted) == (409, "wrong_state")
        assert (await dev.get(INVOICES)).json()["invoices"] == [note, invoice]
        of_line = (await dev.get(f"{INVOICES}/{note['id']}/lines/1/receipts")).json()["receipts"]
        assert [(each["receipt"], each["corrects"]) for each in of_line] == [(correction, receipt)]

    played(tmp_path, scene)


def test_an_invoice_is_answered_as_csv_and_as_a_page(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        _ann, dev, subscription = await sold(town, price="0.5", per=1000)
        account = (await dev.get("/v1/accounts")).json()["accounts"][0]
        await dev.patch(f"/v1/accounts/{account['id']}", json={"name": '<script>alert("x")</script>'})
        used(town, subscription, 1_234_550, clock())
        clock.at = datetime(2026, 11, 2, tzinfo=UTC)
        [invoice] = await closed(town)
        path = f"{INVOICES}/{invoice['id']}"
        answer = await dev.get(path, headers={"Accept": "text/csv"})
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [(each["number"], each["item"], each["units"], each["amount"]) for each in rows] == [
            (invoice["number"], "flat", "1", "100.00"),
            (invoice["number"], "included", "50", "0.00"),
            (invoice["number"], "units", "1234500", "617.25"),
        ]
        answer = await dev.get(path, headers={"Accept": "text/html"})
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert not [word for word in ("http://", "https://", "url(", "@import") if word in answer.text]
        for words in (invoice["number"], "ann", "1,234,500", "0.5 per 1,000", "CNY 717.25", invoice["book"]["head"]):
            assert words in answer.text
        assert await told(dev, path, headers={"Accept": "image/png"}) == (406, "not_acceptable")

    played(tmp_path, scene)


# ---------------------------------------------------------------- margin


def test_a_products_margin_is_its_revenue_less_what_its_jobs_cost(tmp_path: Path) -> None:
    async def scene(town: Town, clock: Clock) -> None:
        ann, dev, subscription = await sold(town)
        used(town, subscription, 1050, clock())
        for minor in (0, 1):
            town.home.version("pub.internal", minor, bars())
        with Session(town.home.engine) as session:
            jobs = session.scalars(select(VersionRow.job_id).where(VersionRow.product == "pub.internal")).all()
        assert len(jobs) == 2
        job = {"kind": EventKind.JOB, "outcome": Outcome.COMPLETE, "unit": "calls", "account_id": "internal:ann"}
        with the_book(town) as book, book.store.writing() as connection:
            events = [
                Draft(id=f"rcp_{n}", request_id=f"job:{n}", tenant="default", principal="ann",
                      scan_bytes=3 * 2**29, egress_bytes=2**30, worker_ms=1_800_000, reserved_at=clock(), **job)
                for n in (*jobs, "job_of_something_else")
            ]  # type: ignore[arg-type]  # fmt: skip
            append(connection, events, clock())
        path = "/v1/products/pub.internal/margin"
        found = (await ann.get(path)).json()
        assert found["revenue"] == [{"currency": "CNY", "amount": "110.00"}]
        assert found["costs"] == {
            "jobs": 2, "scan_bytes": 3 * 2**30, "egress_bytes": 2**31, "worker_ms": 3_600_000,
            "scan": "0.60", "egress": "1.00", "workers": "8.00", "total": "9.60",
        }  # fmt: skip
        assert (found["currency"], found["margin"], found["is_closed"]) == ("CNY", "100.40", False)
        assert await told(dev, path) == (403, "forbidden")
        assert await told(town.enter("ann", "publisher", "other"), path) == (404, "not_found")

    rates = {"currency": "CNY", "gib_scanned": "0.2", "gib_crossed": "0.5", "worker_hour": "8"}
    played(tmp_path, scene, costs=rates)


def test_a_flat_fee_stands_in_a_line_before_anything_was_used(tmp_path: Path) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        _ann, dev, subscription = await sold(town)
        for group_by, key in (("product", "pub.internal"), ("subscription", subscription)):
            usage = (await dev.get("/v1/usage", params={"group_by": group_by})).json()
            fee = [{"currency": "CNY", "amount": "100.00"}]
            assert [(line["key"], line["rows"], line["money"]) for line in usage["lines"]] == [(key, 0, fee)]
            assert usage["money"] == fee

    played(tmp_path, scene)


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/invoices/preview", "/v1/products/pub.internal/margin"])
def test_nothing_is_due_for_a_month_to_come(tmp_path: Path, path: str) -> None:
    async def scene(town: Town, _clock: Clock) -> None:
        ann, dev, _ = await sold(town)
        answer = await (ann if "margin" in path else dev).get(path, params={"period": "2026-11"})
        assert (answer.status_code, answer.json()["detail"]) == (400, "period: 2026-11 has not begun")

    played(tmp_path, scene)
