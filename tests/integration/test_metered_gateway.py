"""The gateway over HTTP as a subscriber meets it: what a call costs, and what a key opens."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.integration.gateway_scene import BARS, DATA, told
from tests.integration.metered_scene import NDJSON, events, key_id, played
from tests.products import ProductHome, Running

from datacanal.domain.usage import Dimension, Period, Quota
from datacanal.ledger import keys
from datacanal.ledger.models import KeyRow, SubscriptionRow

ROWS_A_DAY = Quota(Dimension.ROWS, 10_000, Period.DAY)


def test_a_call_is_in_the_book_once_with_what_its_head_says(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        answer = await client.get(DATA, params={"limit": 7})
        [event] = events(home)
        usage = dict(each.split("=") for each in answer.headers["datacanal-usage"].split(", "))
        assert answer.headers["datacanal-receipt"] == event.id
        assert (event.calls, event.rows, event.bytes, event.compute_ms, event.units) == tuple(map(int, usage.values()))
        assert (event.rows, event.outcome, event.product, event.version) == (7, "complete", "pub.bars", "1.0")
        assert (event.account_id, event.key_id) == ("acc_default_dev", key_id(client))
        assert event.snapshot == answer.headers["datacanal-snapshot"]
        assert answer.json()["usage"] == {"calls": 1, "rows": 7, "bytes": event.bytes, "units": 7}

    played(tmp_path, scene)


def test_a_page_from_memory_costs_the_same_but_no_time(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        first, again = [await client.get(DATA) for _ in range(2)]
        assert first.content == again.content
        made, held = events(home)
        assert (made.rows, made.bytes) == (held.rows, held.bytes)
        assert held.compute_ms == 0
        assert made.id != held.id

    played(tmp_path, scene)


def test_what_is_no_answer_with_rows_costs_nothing(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        etag = (await client.get(DATA)).headers["etag"]
        assert (await client.get(DATA, headers={"If-None-Match": etag})).status_code == 304
        assert (await client.head(DATA)).status_code == 200
        assert await told(client, f"{DATA}?nonsense=1") == (400, "invalid_parameters")
        assert await told(client, f"{DATA}?snapshot=snp_x") == (404, "not_found")
        sample = await client.get(f"{BARS}/sample")
        assert sample.headers["datacanal-usage"].startswith("calls=0, rows=5,")
        assert (sample.json()["usage"]["units"], "datacanal-receipt" in sample.headers) == (0, False)
        for free in ("", "/schema", "/versions", "/openapi.json", "/entitlements"):
            assert (await client.get(f"{BARS}{free}")).status_code == 200
        assert len(events(home)) == 1

    played(tmp_path, scene)


@pytest.mark.parametrize(
    ("unit", "units"), [(Dimension.CALLS, 1), (Dimension.ROWS, 3), (Dimension.BYTES, None), (Dimension.COMPUTE_MS, 0)]
)
def test_units_are_those_of_the_tariff(tmp_path: Path, unit: Dimension, units: int | None) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        async with running.client(home.token("zoe")) as owner:
            rows = (await owner.get(f"{DATA}?limit=3")).json()
        await client.get(f"{DATA}?limit=3")
        answer = await client.get(f"{DATA}?limit=3")
        event = events(home)[-1]
        expected = event.bytes if units is None else units
        assert answer.headers["datacanal-usage"].endswith(f"units={expected}")
        in_body = None if unit is Dimension.COMPUTE_MS else expected
        assert (answer.json()["usage"]["units"], rows["usage"]["units"]) == (in_body, 3)
        end = (await client.get(f"{DATA}?limit=3", headers={"Accept": NDJSON})).text.splitlines()[-1]
        if unit is not Dimension.BYTES:
            assert json.loads(end)["end"]["units"] == in_body
        estimate = (await client.post(f"{BARS}/estimate", json={"limit": 3})).json()
        assert (estimate["units"] is None) is (unit is Dimension.COMPUTE_MS)

    played(tmp_path, scene, unit=unit)


def test_the_publishers_own_people_are_counted_without_a_quota(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        async with running.client(home.token("zoe", "publisher")) as owner:
            answer = await owner.get(f"{DATA}?limit=5")
        [event] = events(home)
        assert (event.account_id, event.subscription_id, event.key_id) == ("internal:zoe", None, None)
        assert event.id == answer.headers["datacanal-receipt"]
        assert "ratelimit" not in answer.headers

    played(tmp_path, scene)


def test_a_token_of_the_accounts_principal_counts_on_its_subscription(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        await client.get(f"{DATA}?limit=5")
        async with running.client(home.token("dev")) as person:
            left = (await person.get(f"{DATA}?limit=5")).headers["ratelimit"]
        first, second = events(home)
        assert first.subscription_id == second.subscription_id
        assert second.key_id is None
        assert left.startswith('"rows-day";r=9990;')

    played(tmp_path, scene, [ROWS_A_DAY])


def test_a_key_reads_the_product_of_its_subscription_alone(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        home.stable("pub.listed", visibility="listed", owner="zoe")
        home.stable("pub.internal", visibility="internal", owner="zoe")
        home.stable("pub.private", visibility="private", owner="zoe", readers=["principal:dev"])
        await running.newest(home)
        for name in ("listed", "internal"):
            answer = await client.get(f"/v1/products/pub.{name}/data")
            assert (answer.status_code, answer.json()["code"]) == (403, "no_subscription")
            assert "POST /v1/subscriptions" in answer.json()["remedy"]
            assert f"datacanal subscription create pub.{name}" in answer.json()["remedy"]
            assert await told(client, f"/v1/products/pub.{name}/sample") == (403, "no_subscription")
            assert (await client.get(f"/v1/products/pub.{name}/schema")).status_code == 200
        for name in ("private", "nothing"):
            assert await told(client, f"/v1/products/pub.{name}/data") == (404, "not_found")
        assert events(home) == []

    played(tmp_path, scene)


def test_a_private_product_is_there_for_its_subscriber(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        home.stable("pub.private", visibility="private", owner="zoe")
        key = home.book.key(home.book.subscription("sam", "pub.private"))
        for secret in (key, home.token("sam")):
            async with running.client(secret) as sam:
                assert (await sam.get("/v1/products/pub.private/data?limit=1")).status_code == 200
                listed = (await sam.get("/v1/products?q=private")).json()["products"]
                assert [(each["name"], each["open"]) for each in listed] == [("pub.private", True)]
        async with running.client(home.token("else")) as other:
            assert await told(other, "/v1/products/pub.private/data") == (404, "not_found")

    played(tmp_path, scene)


def test_a_key_of_another_tenant_finds_nothing(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        other = home.book.key(home.book.subscription("dev", "pub.bars", tenant="other"), tenant="other")
        async with running.client(other) as stranger:
            for what in ("", "/data", "/sample", "/schema", "/entitlements"):
                assert await told(stranger, f"{BARS}{what}") == (404, "not_found")
            assert (await stranger.get("/v1/entitlements")).json() == {"entitlements": []}

    played(tmp_path, scene)


def test_what_a_key_may_not_do_is_told(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        book = home.book
        subscription = book.subscription("sam", "pub.bars")
        past, future = (datetime.now(UTC) + timedelta(seconds=each) for each in (-1, 3600))
        refused = [
            (book.key(subscription, expires_at=past), "data", (401, "key_expired")),
            (book.key(subscription, revoked_at=past), "data", (401, "key_revoked")),
            (book.key(subscription, "test"), "data", (403, "test_key")),
            (book.key(subscription, scopes=["sample", "account"]), "data", (403, "scope_missing")),
            (book.key(subscription, scopes=["data"]), "sample", (403, "scope_missing")),
            (book.key(book.subscription("tom", "pub.bars", state="ended")), "data", (403, "subscription_not_active")),
            (book.key(book.subscription("uma", "pub.bars", state="pending")), "data", (403, "subscription_not_active")),
        ]
        for key, what, expected in refused:
            async with running.client(key) as caller:
                assert await told(caller, f"{BARS}/{what}") == expected
        for key in (book.key(subscription, "test"), book.key(subscription, scopes=["sample"], expires_at=future)):
            async with running.client(key) as caller:
                assert (await caller.get(f"{BARS}/sample")).status_code == 200
        assert events(home) == []

    played(tmp_path, scene)


def test_a_key_that_is_revoked_or_whose_subscription_ends_stops_within_a_second(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        ended = home.book.subscription("sam", "pub.bars")
        async with running.client(home.book.key(ended)) as sam:
            assert (await sam.get(DATA)).status_code == (await client.get(DATA)).status_code == 200
            home.book.change(SubscriptionRow, ended, state="ended")
            assert await told(sam, DATA) == (403, "subscription_not_active")
        home.book.change(KeyRow, key_id(client), revoked_at=datetime.now(UTC))
        assert await told(client, DATA) == (401, "key_revoked")

    played(tmp_path, scene)


def test_wrong_keys_are_all_the_same_but_a_mistyped_one(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        right = client.headers["authorization"].removeprefix("Bearer ")
        other = home.book.key(home.book.subscription("sam", "pub.bars"))
        stranger = ProductHome(tmp_path / "elsewhere")
        unknown = stranger.book.key(stranger.book.subscription("x", "pub.bars"))
        stranger.book.store.close()
        answers = []
        for secret in (unknown, _with_secret_of(right, other)):
            async with running.client(secret) as caller:
                answer = await caller.get(DATA)
                answers.append({**answer.json(), "status": answer.status_code})
                assert secret not in answer.text
        assert answers[0] == answers[1]
        assert (answers[0]["status"], answers[0]["code"]) == (401, "key_wrong")
        for secret in (right[:-1], right + "A", right.replace("live", "test"), "dck_", "dck_live_"):
            async with running.client(secret) as caller:
                answer = await caller.get(DATA)
                assert (answer.status_code, answer.json()["code"]) == (401, "key_malformed"), secret

    played(tmp_path, scene)


def _with_secret_of(key: str, other: str) -> str:
    """The id of one key and the secret of another, with check digits that fit."""
    *head, _ = key.split("_")
    body = "_".join([*head, keys.parsed(other).secret])
    return body + keys.check_digits(body)


def test_a_key_in_an_address_is_neither_repeated_nor_taken_down(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        key = client.headers["authorization"].removeprefix("Bearer ")
        for where in (f"?{key}=1", f"?select={key}", f"?sec_id={key}", f"/{key}"):
            answer = await client.get(f"{DATA}{where}")
            assert (answer.status_code, answer.json()["code"], key in answer.text) == (400, "bad_request", False)

    played(tmp_path, scene)
    secret = re.compile(r"dck_(live|test)_\w+_\w+")
    assert not any(secret.search(file.read_text()) for file in tmp_path.rglob("*.ndjson"))
