"""The gateway over HTTP: what it refuses, and to whom."""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.integration.gateway_scene import BARS, DATA, FORMATS, ROUTES, played, told
from tests.products import EARLY, ProductHome, Running, bars

from datacanal.domain.product import VersionState
from datacanal.protocol.products import Sample
from datacanal.state.models import TokenRow
from datacanal.state.product_models import ProductRow

WRONG_PARAMETERS = [
    ("sec=1", "sec", ""),
    ("closs=1", "closs", "close"),
    ("close.get=1", "close.get", "close.gt"),
    ("limt=5", "limt", "limit"),
    ("limit=10001", "limit", "10000"),
    ("limit=0", "limit", "1"),
    ("limit=ten", "limit", ""),
    ("limit=5&limit=5", "limit", ""),
    ("close=abc", "close", ""),
    ("volume=1.5", "volume", ""),
    ("volume=99999999999999999999", "volume", ""),
    ("trade_date=2024-13-01", "trade_date", ""),
    ("trade_date=yesterday", "trade_date", ""),
    ("select=close,prize", "select", ""),
    ("order=close", "order", ""),
    ("as_of=2999-01-01T00:00:00Z", "as_of", "Z"),
    ("as_of=soon", "as_of", "2026-03-31T08:00:00Z"),
    ("channel=beta", "channel", "stable"),
    ("channel=stable&as_of=2026-01-02T00:00:00Z", "channel", ""),
    ("sec_id=%ff", "sec_id", ""),
    ("name.like=", "name.like", ""),
    ("name.isnull=maybe", "name.isnull", ""),
]


def test_a_parameter_that_is_not_understood_is_named(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        for query, field, suggestion in WRONG_PARAMETERS:
            answer = await client.get(f"{DATA}?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameters"), query
            [wrong] = answer.json()["data"]["invalid_parameters"]
            assert wrong["field"] == field
            assert wrong["reason"]
            assert suggestion in wrong["suggestion"], query

    played(tmp_path, scene)


def test_all_wrong_parameters_are_named_at_once(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        answer = await client.get(f"{DATA}?closs=1&limit=0&close=x")
        assert [each["field"] for each in answer.json()["data"]["invalid_parameters"]] == ["closs", "limit", "close"]

    played(tmp_path, scene)


def test_a_cursor_is_for_its_own_walk(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        following = (await client.get(f"{DATA}?limit=2&close.gte=12")).json()["page"]["next"]
        cursor = following.partition("cursor=")[2]
        assert await told(client, f"{DATA}?cursor=abc") == (400, "bad_cursor")
        assert await told(client, f"{DATA}?cursor=") == (400, "bad_cursor")
        assert await told(client, f"{following[:-2]}AA") == (400, "bad_cursor")
        assert await told(client, f"{DATA}?limit=2&close.gte=13&cursor={cursor}") == (400, "bad_cursor")
        for more in ("as_of=2026-01-01T00:00:00Z", "channel=stable", "snapshot=snp_x"):
            assert await told(client, f"{following}&{more}") == (400, "invalid_parameters")
        assert (await client.get(f"{DATA}?limit=3&close.gte=12&cursor={cursor}")).status_code == 200

    played(tmp_path, scene)


def test_versions_that_are_not_there_are_told_from_those_that_are_gone(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        staged = home.version("pub.bars", 1, bars(2, 2))
        old = home.version("pub.bars", 2, bars(2, 2))
        home.point("pub.bars", old, "canary")
        await running.newest(home)
        pinned = (await client.get(f"{DATA}?channel=canary&limit=1")).json()["page"]["next"]
        home.point("pub.bars", None, "canary")
        home.set_state(old, VersionState.RETIRED)
        await running.newest(home)
        assert await told(client, f"{DATA}?snapshot={staged}") == (404, "not_found")
        assert await told(client, f"{DATA}?snapshot=snp_never") == (404, "not_found")
        assert await told(client, f"{DATA}?snapshot={old}") == (410, "snapshot_gone")
        assert await told(client, pinned) == (410, "snapshot_gone")
        assert await told(client, f"{DATA}?channel=canary") == (404, "no_version")
        assert await told(client, f"{DATA}?as_of=2020-01-01T00:00:00Z") == (404, "no_version")

    played(tmp_path, scene)


def test_a_snapshot_whose_files_were_taken_away_under_its_readers_is_gone(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        assert (await client.get(f"{DATA}?select=sec_id&limit=1")).status_code == 200
        shutil.rmtree(home.store)
        for query in ("order=-trade_date&limit=7", "name.like=%25a&limit=2"):
            for accept in FORMATS:
                gone = await told(client, f"{DATA}?{query}", headers={"Accept": accept})
                assert gone == (410, "snapshot_gone"), (query, accept)
        estimate = await told(client, f"{BARS}/estimate", method="POST", json={"name.like": "%a"})
        assert estimate == (410, "snapshot_gone")

    played(tmp_path, scene)


def test_what_http_itself_refuses_is_a_problem_document_too(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        assert await told(client, "/v2") == (404, "not_found")
        assert await told(client, f"{BARS}/exports") == (404, "not_found")
        assert await told(client, "/v1/nowhere") == (404, "not_found")
        assert await told(client, DATA, method="DELETE") == (405, "method_not_allowed")
        assert await told(client, DATA, method="POST") == (405, "method_not_allowed")
        assert await told(client, f"{BARS}/estimate") == (405, "method_not_allowed")
        assert (await client.delete(DATA)).headers["allow"] == "GET, HEAD"
        assert await told(client, DATA, headers={"Accept": "text/html"}) == (406, "not_acceptable")
        assert await told(client, DATA, headers={"Accept-Encoding": "identity;q=0"}) == (406, "not_acceptable")
        assert await told(client, f"{BARS}/schema", headers={"Accept": "text/csv"}) == (406, "not_acceptable")
        assert await told(client, f"{DATA}?sec_id={'x' * 40_000}") == (414, "address_too_long")
        for path in ("/v1/products?limt=1", f"{BARS}?x=1", f"{BARS}/sample?limit=1", "/health?x=1"):
            assert await told(client, path) == (400, "invalid_parameters")

    played(tmp_path, scene)


def test_a_token_outside_its_header_is_neither_repeated_nor_taken_down(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        spilled = home.token("spilled")
        wrong = [f"?{spilled}=1", f"?select={spilled}", f"?sec_id={spilled}", f"?snapshot={spilled}", f"/{spilled}"]
        for where in wrong:
            answer = await client.get(f"{DATA}{where}")
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), where
            assert spilled not in answer.text
        for body in ({spilled: 1}, {"query": f"sec_id={spilled}"}):
            answer = await client.post(f"{BARS}/estimate", json=body)
            assert (answer.status_code, spilled in answer.text) == (400, False)

    played(tmp_path, scene)
    secret = re.compile(r"dct_[0-9a-f]+_[0-9a-f]+")
    assert not any(secret.search(file.read_text()) for file in tmp_path.rglob("*.ndjson"))


STRANGE_TARGETS = [
    b"/v1/products/\xff\xfe/data", b"/v1/products/%ff/data", b"/v1/products/%00/data", b"*", b"//v1//products",
    b"/v1/products/pub.bars/data?%", b"/v1/products/pub.bars/data?=1", b"/v1/products/pub.bars/data?a",
    b"/v1/products/pub.bars/data?\xe8\xa1\x8c=1", b"/v1/products/pub.bars/data?cursor=%F0%9F%98%80",
    b"/v1/products/pub.bars/data?limit=%EF%BC%95", b"/v1/products/pub.bars/data?close.gt=NaN",
    b"/v1/products/pub.bars/data?trade_date=0000-00-00", b"/v1/products?cursor=%F0", b"/v1/products?q=%ED%A0%80",
    b"/v1/products/pub.bars/data?as_of=2026-01-02T00:00:60Z",
]  # fmt: skip
STRANGE_HEADERS = [
    b"Accept: \xff", b"Accept: application/json;q=nan", b"Accept-Encoding: ;;;q=nan,\xff", b"If-None-Match: \xff, W/",
    b"Accept-Encoding: gzip;q=inf, identity;q=1e999", b"Content-Type: \xff", b"Authorization: Bearer \xff\xff",
]  # fmt: skip


def test_however_strange_a_request_is_its_answer_is_no_failure_of_ours(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, _home: ProductHome) -> None:
        token = b"Authorization: " + client.headers["authorization"].encode()
        for target in STRANGE_TARGETS:
            assert 400 <= await status(running.url, target, token) < 500, target
        for header in STRANGE_HEADERS:
            assert 200 <= await status(running.url, b"/v1/products/pub.bars/data", token, header) < 500, header

    played(tmp_path, scene)


async def status(url: str, target: bytes, *headers: bytes) -> int:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""]))
    line = await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


def test_a_head_is_the_same_without_the_body(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        for route in (*ROUTES, "/data?limit=1"):
            whole, head = await client.get(f"{BARS}{route}"), await client.head(f"{BARS}{route}")
            assert (head.status_code, head.content) == (whole.status_code, b"")
            assert head.headers.get("etag") == whole.headers.get("etag")

    played(tmp_path, scene)


# ------------------------------------------------------------------------------------------------ who may


def test_without_a_token_that_holds_there_is_nothing(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        revoked = home.token("gone", revoked_at=EARLY)
        expired = home.token("late", expires_at=datetime.now(UTC) - timedelta(seconds=1))
        await running.newest(home)
        for secret in (None, "dct_x_y", "nonsense", revoked, expired, home.token("x")[:-1] + "g"):
            async with running.client(secret) as client:
                for route in ROUTES:
                    answer = await client.get(f"{BARS}{route}")
                    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
                    assert secret is None or secret not in answer.text
                assert (await client.get("/v1/products")).status_code == 401
                assert (await client.get("/health")).status_code == 200

    played(tmp_path, scene)


def test_a_revoked_token_stops_within_a_second(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        assert (await client.get(DATA)).status_code == 200

        def revoke(session: Any) -> None:
            for row in session.query(TokenRow):
                row.revoked_at = EARLY

        home.change(revoke)
        until = asyncio.get_running_loop().time() + 1
        while (await client.get(DATA)).status_code == 200:
            assert asyncio.get_running_loop().time() < until

    played(tmp_path, scene)


def test_what_was_made_a_moment_ago_is_there_at_once(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        for number in range(5):  # each before the gateway would look at the store by itself
            name, secret = f"pub.new{number}", home.token(f"new{number}")
            home.stable(name)
            async with running.client(secret) as client:
                assert (await client.get(f"/v1/products/{name}/data")).status_code == 200

    played(tmp_path, scene)


def test_a_site_is_no_caller(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        token = home.token("core", "site")
        await running.newest(home)
        async with running.client(token) as site:
            assert await told(site, DATA) == (403, "forbidden")

    played(tmp_path, scene)


def test_what_another_tenant_has_does_not_exist(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        home.stable("pub.open", visibility="listed", sample=Sample(open=True), readers=["principal:dev"])
        stranger = home.token("dev", "admin", ["early"], tenant="other")
        await running.newest(home)
        async with running.client(stranger) as client:
            assert (await client.get("/v1/products")).json()["products"] == []
            for name in ("pub.bars", "pub.open"):
                for route in ROUTES:
                    assert await told(client, f"/v1/products/{name}{route}") == (404, "not_found")
                estimate = f"/v1/products/{name}/estimate"
                assert await told(client, estimate, method="POST", json={}) == (404, "not_found")

    played(tmp_path, scene)


SEEN_AND_READ = [
    ("private", False, 404, 404),
    ("private", True, 200, 200),
    ("listed", False, 200, 403),
    ("listed", True, 200, 200),
    ("internal", False, 200, 200),
]


def test_a_product_is_seen_and_read_by_whom_its_publisher_means(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        for visibility in ("private", "listed", "internal"):
            home.stable(
                f"pub.{visibility}", owner="zoe", visibility=visibility, readers=["group:desk", "principal:ann"]
            )
        tokens = {
            is_reader: home.token("bob", groups=["desk" if is_reader else "other"]) for is_reader in (True, False)
        }
        others = [home.token("zoe", "publisher"), home.token("ann"), home.token("root", "admin")]
        await running.newest(home)
        for visibility, is_reader, known, data in SEEN_AND_READ:
            path = f"/v1/products/pub.{visibility}"
            async with running.client(tokens[is_reader]) as bob:
                assert (await bob.get(path)).status_code == known
                assert (await bob.get(f"{path}/data")).status_code == data
                assert (await bob.get(f"{path}/sample")).status_code == data
                listed = [each["name"] for each in (await bob.get("/v1/products")).json()["products"]]
                assert (f"pub.{visibility}" in listed) is (known == 200)
            for other in others:
                async with running.client(other) as caller:
                    assert (await caller.get(f"{path}/data")).status_code == 200

    played(tmp_path, scene)


def test_an_open_sample_needs_no_token_and_nothing_else_of_its_product_does_without(tmp_path: Path) -> None:
    async def scene(_client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        home.stable("pub.shown", visibility="listed", sample=Sample(rows=3, open=True))
        home.stable("pub.hidden", visibility="private", sample=Sample(rows=3, open=True))
        await running.newest(home)
        async with running.client(None) as anybody:
            page = (await anybody.get("/v1/products/pub.shown/sample")).json()
            assert (len(page["data"]), page["page"]["next"]) == (3, None)
            for path in ("pub.shown/data", "pub.hidden/sample", "pub.bars/sample", "pub.none/sample"):
                assert await told(anybody, f"/v1/products/{path}") == (401, "unauthenticated")

    played(tmp_path, scene)


def test_a_retired_product_is_gone(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        home.change(lambda session: setattr(session.query(ProductRow).one(), "retired_at", EARLY))
        await running.newest(home)
        for route in ROUTES:
            assert await told(client, f"{BARS}{route}") == (410, "product_retired")
        assert (await client.get("/v1/products")).json()["products"] == []

    played(tmp_path, scene)
