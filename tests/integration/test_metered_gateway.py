"""The gateway over HTTP as a subscriber meets it: keys, quotas, receipts, repeated calls."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import select
from tests.integration.gateway_scene import ARROW, BARS, DATA, FORMATS, told
from tests.products import ProductHome, Running, bars, serving

from datacanal.domain.product import VersionState
from datacanal.domain.usage import Burst, Dimension, Outcome, Period, Quota
from datacanal.gateway.producing import END_KEY
from datacanal.ledger import keys
from datacanal.ledger.models import EventRow, HoldRow, KeyRow, SubscriptionRow
from datacanal.protocol.products import Sample

NDJSON = "application/x-ndjson"
LONG = f"{DATA}?limit=1000000"
ROWS_A_DAY = Quota(Dimension.ROWS, 10_000, Period.DAY)

Scene = Callable[[httpx.AsyncClient, Running, ProductHome], Awaitable[None]]


def played(folder: Path, scene: Scene, quotas: Sequence[Quota] = (), *, rows: str | None = None, **terms: Any) -> None:
    """The scene with the listed product `pub.bars` and a client that has a key of a subscription to it."""

    async def play() -> None:
        home = ProductHome(folder)
        home.stable("pub.bars", rows, visibility="listed", owner="zoe", sample=Sample(rows=5))
        key = home.book.key(home.book.subscription("dev", "pub.bars", quotas, **terms))
        try:
            async with serving(home) as running, running.client(key) as client:
                await scene(client, running, home)
        finally:
            home.book.store.close()

    asyncio.run(play())


def events(home: ProductHome) -> list[EventRow]:
    with home.book.store.reading_rows() as session:
        return list(session.scalars(select(EventRow).order_by(EventRow.seq)))


def holds(home: ProductHome) -> list[HoldRow]:
    with home.book.store.reading_rows() as session:
        return list(session.scalars(select(HoldRow)))


def key_id(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].split("_")[2]


# ------------------------------------------------------------------------------------------------ one call


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


# ------------------------------------------------------------------------------------------------ keys


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


# ------------------------------------------------------------------------------------------------ quotas


def test_the_head_says_what_is_left(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        headers = (await client.get(f"{DATA}?limit=10")).headers
        policy = '"burst";q=50;w=10, "rows-day";q=10000;w=86400;dc-unit="rows", "calls-hour";q=100;w=3600'
        assert headers["ratelimit-policy"] == policy
        left = re.fullmatch(
            r'"burst";r=49;t=(\d+), "rows-day";r=9990;t=(\d+), "calls-hour";r=99;t=(\d+)', headers["ratelimit"]
        )
        assert left is not None
        assert [int(left[n]) <= most for n, most in enumerate((20, 86_400, 3600), 1)] == [True] * 3, headers
        assert "datacanal-warning" not in headers

    played(tmp_path, scene, [ROWS_A_DAY, Quota(Dimension.CALLS, 100, Period.HOUR)], burst=Burst(50, 10))


def test_an_answer_that_does_not_fit_is_not_sent_and_one_that_fits_is(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        warned = await client.get(f"{DATA}?limit=9")
        assert warned.headers["datacanal-warning"] == '"rows-day";used=90'
        refused = await client.get(f"{DATA}?limit=2")
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "quota_exhausted")
        assert problem["data"]["violated-policies"] == ["rows-day"]
        assert 0 < int(refused.headers["retry-after"]) == problem["data"]["retry_after_s"] <= 86_400
        assert refused.headers["ratelimit"].startswith('"rows-day";r=1;')
        # As many rows as there are count, not as many as could have been.
        assert (await client.get(f"{DATA}?limit=1000&sec_id=000001.XSHE&trade_date=2024-01-01")).status_code == 200
        assert await told(client, f"{DATA}?limit=1") == (429, "quota_exhausted")
        assert sum(event.rows for event in events(home)) == 10

    played(tmp_path, scene, [Quota(Dimension.ROWS, 10, Period.DAY)])


def test_nothing_is_computed_for_a_quota_that_is_known_to_be_used_up(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        assert (await client.get(f"{DATA}?limit=10")).status_code == 200
        for file in home.store.rglob("*.parquet"):
            file.unlink()  # whatever is read fails
        assert await told(client, f"{DATA}?limit=3&order=-trade_date") == (429, "quota_exhausted")

    played(tmp_path, scene, [Quota(Dimension.ROWS, 10, Period.DAY)])


def test_bursts_are_refused_until_their_window_is_over(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        answers = [await client.get(f"{DATA}?limit=1") for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "too_many_calls"
        assert 0 < int(answers[3].headers["retry-after"]) <= 600
        assert len(events(home)) == 3

    played(tmp_path, scene, burst=Burst(3, 600))


def test_a_soft_quota_warns_and_lets_through(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        assert "datacanal-warning" not in (await client.get(f"{DATA}?limit=9")).headers
        over = await client.get(f"{DATA}?limit=9")
        assert (over.status_code, over.headers["datacanal-warning"]) == (200, '"rows-day";used=180;soft')

    played(tmp_path, scene, [Quota(Dimension.ROWS, 10, Period.DAY, soft=True)])


def test_entitlements_and_estimates_say_what_is_left(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        await client.get(f"{DATA}?limit=8")
        said = (await client.get(f"{BARS}/entitlements")).json()
        [quota] = said["quotas"]
        assert (said["has_access"], said["product"], said["unit"]) == (True, "pub.bars", "rows")
        assert {name: quota[name] for name in ("name", "amount", "used", "held", "left")} == {
            "name": "rows-day", "amount": 10, "used": 8, "held": 0, "left": 2,
        }  # fmt: skip
        assert quota["resets_at"].endswith("T00:00:00Z")
        assert (said["key"]["id"], said["key"]["expires_at"]) == (key_id(client), None)
        assert (await client.get("/v1/entitlements")).json() == {"entitlements": [said]}
        for limit, fits in ((2, True), (3, False)):
            estimate = (await client.post(f"{BARS}/estimate", json={"limit": limit})).json()
            assert estimate["quota_after"] == [{"name": "rows-day", "left": 0, "fits": fits}]
        test_key = home.book.key(home.book.subscription("sam", "pub.bars"), "test")
        async with running.client(test_key) as sam:
            refused = (await sam.get(f"{BARS}/entitlements")).json()
            assert (refused["has_access"], refused["refusal"]["code"]) == (False, "test_key")

    played(tmp_path, scene, [Quota(Dimension.ROWS, 10, Period.DAY)])


# ------------------------------------------------------------------------------------------------ repeated calls


def test_a_repeated_call_is_answered_again_and_paid_once(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        keyed = {"Idempotency-Key": "order 7!"}
        first = await client.get(f"{DATA}?limit=5", headers=keyed)
        home.point("pub.bars", home.version("pub.bars", 1, bars(shift=9)))
        await running.newest(home)
        again = await client.get(f"{DATA}?limit=5", headers=keyed)
        assert (again.content, again.headers["datacanal-receipt"]) == (
            first.content,
            first.headers["datacanal-receipt"],
        )
        assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
        assert again.headers["datacanal-usage"] == first.headers["datacanal-usage"]
        for other in (f"{DATA}?limit=6", f"{DATA}?limit=5&channel=stable", f"{DATA}?limit=5&select=sec_id"):
            assert await told(client, other, headers=keyed) == (409, "idempotency_conflict")
        conflict = await told(client, f"{DATA}?limit=5", headers={**keyed, "Accept": "text/csv"})
        assert conflict == (409, "idempotency_conflict")
        assert len(events(home)) == 1
        assert (await client.get(f"{DATA}?limit=5")).content != first.content

    played(tmp_path, scene)


def test_a_repeated_call_whose_snapshot_is_gone_keeps_its_receipt(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        keyed = {"Idempotency-Key": "k"}
        first = await client.get(f"{DATA}?limit=5", headers=keyed)
        home.point("pub.bars", home.version("pub.bars", 1, bars(shift=9)))
        home.set_state(first.headers["datacanal-snapshot"], VersionState.RETIRED)
        await running.newest(home)
        gone = await client.get(f"{DATA}?limit=5", headers=keyed)
        assert (gone.status_code, gone.json()["code"]) == (410, "answer_gone")
        assert gone.json()["data"]["receipt"] == first.headers["datacanal-receipt"]
        assert len(events(home)) == 1

    played(tmp_path, scene)


def test_a_used_up_quota_does_not_keep_anybody_from_what_was_paid(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        keyed = {"Idempotency-Key": "k"}
        first = await client.get(f"{DATA}?limit=10", headers=keyed)
        assert await told(client, f"{DATA}?limit=1") == (429, "quota_exhausted")
        assert (await client.get(f"{DATA}?limit=10", headers=keyed)).content == first.content

    played(tmp_path, scene, [Quota(Dimension.ROWS, 10, Period.DAY)])


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\u00e9"])
def test_an_idempotency_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        headers = {"Idempotency-Key": key.encode("latin-1")}
        answer = await client.get(DATA, headers=headers)  # type: ignore[arg-type]  # as httpx takes it
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert events(home) == []

    played(tmp_path, scene)


def test_a_hundred_calls_with_one_key_are_one_charge_and_one_answer(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        headers = {"Idempotency-Key": "one", "Accept-Encoding": "identity"}
        answers = await asyncio.gather(*(client.get(f"{DATA}?limit=50", headers=headers) for _ in range(100)))
        assert {each.status_code for each in answers} == {200}
        assert len({each.content for each in answers}) == 1
        [event] = events(home)
        assert {each.headers["datacanal-receipt"] for each in answers} == {event.id}
        assert sum("idempotency-replayed" not in each.headers for each in answers) == 1

    played(tmp_path, scene)


# ------------------------------------------------------------------------------------------------ streams

MANY = bars(1000, 200)


def test_a_stream_reserves_its_rows_and_settles_what_it_came_to(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        for accept in FORMATS[1:]:
            answer = await client.get(LONG, headers={"Accept": accept, "Accept-Encoding": "identity"})
            event = events(home)[-1]
            assert event.id == answer.headers["datacanal-receipt"]
            assert (event.rows, event.outcome, event.calls) == (200_000, Outcome.COMPLETE, 1)
            if len(answer.content) > 8 * 2**20:
                assert answer.headers["datacanal-reserved"] == "calls=1, rows=200000", accept
                assert answer.headers["ratelimit"].startswith('"rows-month";r=')
            if accept == NDJSON:
                end = json.loads(answer.content.splitlines()[-1])["end"]
                assert (end["rows"], end["bytes"], end["units"]) == (event.rows, event.bytes, event.units)
            if accept == ARROW:
                assert _arrow_end(answer.content)["bytes"] == event.bytes
        assert holds(home) == []

    played(tmp_path, scene, [Quota(Dimension.ROWS, 1_000_000, Period.MONTH)], rows=MANY)


def _arrow_end(content: bytes) -> Any:
    reader = pa.ipc.open_stream(content)
    found = None
    while True:
        try:
            _, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return found
        if metadata is not None and END_KEY in metadata:
            found = json.loads(metadata[END_KEY])


def test_a_stream_of_more_rows_than_are_left_does_not_begin(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        assert await told(client, LONG, headers={"Accept": NDJSON}) == (429, "quota_exhausted")
        assert events(home) == holds(home) == []
        few = await client.get(f"{LONG}&sec_id=000001.XSHE", headers={"Accept": NDJSON})
        assert few.status_code == 200

    played(tmp_path, scene, [Quota(Dimension.ROWS, 199_999, Period.DAY)], rows=MANY)


def test_a_stream_ends_where_the_quota_does_and_pays_for_what_was_sent(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        received = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):
            await _take(client, NDJSON, received)
        *lines, last = received.splitlines()
        assert json.loads(last)["error"]["code"] == "quota_exhausted"
        [event] = events(home)
        assert (event.outcome, event.rows) == ("partial", len(lines))
        assert event.bytes == sum(len(line) + 1 for line in lines) <= 10_000_000
        assert holds(home) == []
        received.clear()
        with pytest.raises(httpx.RemoteProtocolError):
            await _take(client, ARROW, received)

    played(tmp_path, scene, [Quota(Dimension.BYTES, 10_000_000, Period.DAY)], rows=MANY)


async def _take(client: httpx.AsyncClient, accept: str, received: bytearray, **headers: str) -> None:
    asked = {"Accept": accept, "Accept-Encoding": "identity", **headers}
    async with client.stream("GET", LONG, headers=asked) as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_raw():
            received += piece


async def _leave(client: httpx.AsyncClient, at_least: int, **headers: str) -> None:
    """Take so much of the long answer, then go."""
    taken = 0
    asked = {"Accept": NDJSON, "Accept-Encoding": "identity", **headers}
    async with client.stream("GET", LONG, headers=asked) as answer:
        async for piece in answer.aiter_raw():
            taken += len(piece)
            if taken >= at_least:
                return


async def _settled(home: ProductHome, many: int) -> list[EventRow]:
    while len(found := await asyncio.to_thread(events, home)) < many:
        pass
    return found


def test_who_leaves_in_the_middle_pays_for_what_was_sent_and_the_rest_when_it_is(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        await _leave(client, 1_000_000, **{"Idempotency-Key": "walk"})
        [broken] = await _settled(home, 1)
        assert broken.outcome == "partial"
        assert 0 < broken.rows < 200_000
        assert holds(home) == []
        received = bytearray()
        await _take(client, NDJSON, received, **{"Idempotency-Key": "walk"})
        first, second = await _settled(home, 2)
        whole = json.loads(received.splitlines()[-1])["end"]
        assert (first.rows + second.rows, first.calls + second.calls) == (whole["rows"], 1)
        assert first.bytes + second.bytes == whole["bytes"]
        assert second.corrects == first.id
        received.clear()
        await _take(client, NDJSON, received, **{"Idempotency-Key": "walk"})
        assert len(events(home)) == 2

    played(tmp_path, scene, rows=bars(2000, 400))
