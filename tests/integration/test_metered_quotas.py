"""The gateway over HTTP: quotas, bursts, what is left, and calls that are repeated."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from tests.integration.gateway_scene import BARS, DATA, told
from tests.integration.metered_scene import events, key_id, played
from tests.products import ProductHome, Running, bars

from datacanal.domain.product import VersionState
from datacanal.domain.usage import Burst, Dimension, Period, Quota

ROWS_A_DAY = Quota(Dimension.ROWS, 10_000, Period.DAY)


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
