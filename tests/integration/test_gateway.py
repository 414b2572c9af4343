"""The gateway over HTTP: what each route answers, to whom, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from tests.products import EARLY, ProductHome, Running, bars, serving

from datacanal.domain.product import VersionState
from datacanal.gateway.producing import END_KEY
from datacanal.protocol.products import Contract, Sample
from datacanal.state.models import TokenRow
from datacanal.state.product_models import ProductRow

BARS = "/v1/products/pub.bars"
DATA = f"{BARS}/data"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
FORMATS = ("application/json", "application/x-ndjson", "text/csv", ARROW, PARQUET)
ROUTES = ("", "/data", "/schema", "/openapi.json", "/sample", "/versions", "/condition")

Scene = Callable[[httpx.AsyncClient, Running, ProductHome], Awaitable[None]]


def played(folder: Path, scene: Scene, **section: Any) -> None:
    """The scene with one product, `pub.bars`, and a developer's client."""

    async def play() -> None:
        home = ProductHome(folder)
        home.stable("pub.bars")
        token = home.token("dev")
        async with serving(home, **section) as running, running.client(token) as client:
            await scene(client, running, home)

    asyncio.run(play())


async def told(client: httpx.AsyncClient, path: str, **more: Any) -> tuple[int, str]:
    answer = await client.request(more.pop("method", "GET"), path, **more)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["remedy"]
    return answer.status_code, problem["code"]


# ------------------------------------------------------------------------------------------------ data


def test_a_page_says_what_it_is_and_where_the_next_one_is(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        answer = await client.get(DATA, params={"sec_id": "000001.XSHE", "limit": 2, "select": "trade_date,close"})
        page = answer.json()
        assert list(page) == ["meta", "data", "page", "usage"]
        assert page["data"] == [
            {"trade_date": "2024-01-01", "close": "11.0000"},
            {"trade_date": "2024-01-02", "close": "11.0100"},
        ]
        assert page["meta"]["columns"] == [
            {"name": "trade_date", "type": "DATE"},
            {"name": "close", "type": "DECIMAL(18,4)"},
        ]
        assert (page["meta"]["version"], page["usage"]["rows"]) == ("1.0", 2)
        headers = answer.headers
        assert headers["datacanal-snapshot"] == page["meta"]["snapshot"]
        assert headers["datacanal-as-of"] == "2026-01-01T00:00:00Z"
        assert headers["cache-control"] == "private, must-revalidate"
        assert set(headers["vary"].split(", ")) == {"Accept", "Accept-Encoding", "Authorization"}
        size = len(json.dumps(page["data"], separators=(",", ":")))
        assert headers["datacanal-usage"].startswith(f"calls=1, rows=2, bytes={size}, compute_ms=")
        assert headers["link"] == f'<{page["page"]["next"]}>; rel="next"'
        following = (await client.get(page["page"]["next"])).json()
        assert following["data"][0]["trade_date"] == "2024-01-03"

    played(tmp_path, scene)


def test_the_same_question_in_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        answers = {
            each: await client.get(DATA, params={"sec_id": "000007.XSHE"}, headers={"Accept": each}) for each in FORMATS
        }
        assert {each: answer.headers["content-type"] for each, answer in answers.items()} == {
            each: each for each in FORMATS
        }
        rows = answers["application/json"].json()["data"]
        *lines, end = answers["application/x-ndjson"].text.splitlines()
        assert [json.loads(line) for line in lines] == rows
        assert json.loads(end)["end"]["rows"] == len(rows) == 50
        table = pq.read_table(io.BytesIO(answers[PARQUET].content))
        assert table.equals(pa.ipc.open_stream(answers[ARROW].content).read_all())
        assert [str(each) for each in table.column("close").to_pylist()] == [row["close"] for row in rows]
        assert table.column("name").to_pylist() == [row["name"] for row in rows]
        read = list(csv.DictReader(io.StringIO(answers["text/csv"].text)))
        assert [row["name"] for row in read] == [row["name"] or "" for row in rows]

    played(tmp_path, scene)


def test_an_arrow_stream_carries_its_end(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        answer = await client.get(DATA, params={"limit": 7}, headers={"Accept": ARROW})
        with pa.ipc.open_stream(answer.content) as stream:
            batches = list(stream.iter_batches_with_custom_metadata())
        last = batches[-1]
        end = json.loads(last.custom_metadata[END_KEY.encode()])
        assert (last.batch.num_rows, end["rows"]) == (0, 7)
        assert (await client.get(end["next"])).status_code == 200

    played(tmp_path, scene)


def test_what_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        for headers in ({"Accept": each, "Accept-Encoding": coding} for each in FORMATS for coding in ("gzip", "")):
            first = await client.get(DATA, headers=headers)
            again = await client.get(DATA, headers={**headers, "If-None-Match": f'"other", {first.headers["etag"]}'})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert (await client.get(DATA, headers={**headers, "If-None-Match": '"other"'})).status_code == 200
            assert (await client.get(DATA, headers=headers)).content == first.content

    played(tmp_path, scene)


def test_each_encoding_and_format_has_an_etag_of_its_own(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        tags = {
            (await client.get(DATA, headers={"Accept": accept, "Accept-Encoding": encoding})).headers["etag"]
            for accept in FORMATS
            for encoding in ("gzip", "zstd", "identity")
        }
        assert len(tags) == 4 * 3 + 1  # Parquet is compressed as it is

    played(tmp_path, scene)


def test_equal_questions_are_one_answer_however_they_are_spelled(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        spellings = (
            "sec_id=000001.XSHE,000002.XSHE&close.gte=11.5&limit=5",
            "limit=5&close.gte=11.50&sec_id.in=000002.XSHE,000001.XSHE",
            "limit=5&close.gte=%2B11.5000&sec_id=000002.XSHE,000001.XSHE&order=sec_id",
        )
        answers = [await client.get(f"{DATA}?{each}") for each in spellings]
        assert len({answer.headers["etag"] for answer in answers}) == 1
        assert len({answer.content for answer in answers}) == 1

    played(tmp_path, scene)


def test_an_answer_that_is_asked_for_before_it_exists_costs_no_reading(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        head = await client.head(DATA)
        assert (head.status_code, head.content) == (200, b"")
        for file in home.store.rglob("*.parquet"):
            file.unlink()
        again = await client.get(DATA, headers={"If-None-Match": head.headers["etag"]})
        assert again.status_code == 304
        assert await told(client, DATA) == (410, "snapshot_gone")

    played(tmp_path, scene)


def test_every_row_comes_once_while_versions_come_and_go(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        first = (await client.get(DATA, params={"limit": 1000})).json()
        second = home.version("pub.bars", 1, bars(shift=5))
        path, seen, snapshots, pages = f"{DATA}?limit=90", [], set(), 0
        while path:
            page = (await client.get(path)).json()
            seen += page["data"]
            snapshots.add(page["meta"]["snapshot"])
            path, pages = page["page"]["next"], pages + 1
            if pages in (3, 6):
                home.point("pub.bars", second if pages == 3 else first["meta"]["snapshot"])
                await running.newest(home)
                current = await client.get(DATA, params={"limit": 1})
                assert (current.headers["datacanal-snapshot"] == second) is (pages == 3)
        assert seen == first["data"]
        assert snapshots == {first["meta"]["snapshot"]}

    played(tmp_path, scene)


def test_promotions_and_rollbacks_under_traffic_fail_nobody_and_mix_no_versions(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        first = (await client.get(DATA)).headers["datacanal-snapshot"]
        second = home.version("pub.bars", 1, bars(shift=100))
        ended, seen = asyncio.Event(), set()

        async def call(number: int) -> None:
            while not ended.is_set():
                answer = await client.get(DATA, params={"sec_id": f"{number:06d}.XSHE", "limit": 3})
                assert answer.status_code == 200
                snapshot = answer.headers["datacanal-snapshot"]
                expected = 10 + number + (100 if snapshot == second else 0)
                assert [row["close"] for row in answer.json()["data"]] == [f"{expected}.0{day}00" for day in range(3)]
                seen.add(snapshot)

        callers = [asyncio.create_task(call(number)) for number in range(8)]
        for turn in range(10):
            await asyncio.to_thread(home.point, "pub.bars", first if turn % 2 else second)
            await running.newest(home)
        ended.set()
        await asyncio.gather(*callers)
        assert seen == {first, second}

    played(tmp_path, scene)


def test_as_of_and_snapshot_give_the_same_bytes_for_ever(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        now = await client.get(DATA)
        second = home.version("pub.bars", 1, bars(shift=5))
        home.point("pub.bars", second, at=EARLY + timedelta(days=9))
        await running.newest(home)
        assert (await client.get(DATA)).headers["datacanal-snapshot"] == second
        for given in ({"as_of": "2026-01-02T08:00:00+08:00"}, {"snapshot": now.headers["datacanal-snapshot"]}):
            again = await client.get(DATA, params=given)
            assert (again.content, again.headers["etag"]) == (now.content, now.headers["etag"])

    played(tmp_path, scene)


def test_the_canary_is_for_its_groups_and_for_who_asks(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        canary = home.version("pub.bars", 1, bars(shift=5))
        home.point("pub.bars", canary, "canary", labels=["early"])
        early = home.token("eve", groups=["early"])
        await running.newest(home)
        assert (await client.get(DATA)).headers["datacanal-version"] == "1.0"
        assert (await client.get(DATA, params={"channel": "canary"})).headers["datacanal-version"] == "1.1"
        async with running.client(early) as eve:
            assert (await eve.get(DATA)).headers["datacanal-version"] == "1.1"
            assert (await eve.get(DATA, params={"channel": "stable"})).headers["datacanal-version"] == "1.0"

    played(tmp_path, scene)


# ------------------------------------------------------------------------------------------------ refusals


WRONG_PARAMETERS = [
    ("sec=1", "sec", ""),
    ("closs=1", "closs", "close"),
    ("close.get=1", "close.get", "close.gt"),
    ("limt=5", "limt", "limit"),
    ("limit=10001", "limit", "10000"),
    ("limit=0", "limit", ""),
    ("limit=ten", "limit", ""),
    ("limit=5&limit=5", "limit", ""),
    ("close=abc", "close", ""),
    ("volume=1.5", "volume", ""),
    ("volume=99999999999999999999", "volume", ""),
    ("trade_date=2024-13-01", "trade_date", ""),
    ("trade_date=yesterday", "trade_date", ""),
    ("select=close,prize", "select", ""),
    ("order=close", "order", ""),
    ("as_of=2999-01-01T00:00:00Z", "as_of", ""),
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


def test_what_http_itself_refuses_is_a_problem_document_too(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        assert await told(client, "/v2") == (404, "not_found")
        assert await told(client, f"{BARS}/exports") == (404, "not_found")
        assert await told(client, "/v1/keys") == (404, "not_found")
        assert await told(client, DATA, method="DELETE") == (405, "method_not_allowed")
        assert await told(client, DATA, method="POST") == (405, "method_not_allowed")
        assert await told(client, f"{BARS}/estimate") == (405, "method_not_allowed")
        assert await told(client, DATA, headers={"Accept": "text/html"}) == (406, "not_acceptable")
        assert await told(client, DATA, headers={"Accept-Encoding": "identity;q=0"}) == (406, "not_acceptable")
        assert await told(client, f"{BARS}/schema", headers={"Accept": "text/csv"}) == (406, "not_acceptable")
        assert await told(client, f"{DATA}?sec_id={'x' * 40_000}") == (414, "address_too_long")
        for path in ("/v1/products?limt=1", f"{BARS}?x=1", f"{BARS}/sample?limit=1", "/health?x=1"):
            assert await told(client, path) == (400, "invalid_parameters")

    played(tmp_path, scene)


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


# ------------------------------------------------------------------------------------------------ documents


def test_the_catalogue_is_searched_by_words_and_walked_by_pages(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        for number in range(7):
            home.product(f"pub.more{number}", title=f"行情 {number}", description="Daily **Prices** of stocks")
        await running.newest(home)
        path, names = "/v1/products?q=prices%20%E8%A1%8C%E6%83%85&limit=3", []
        while path:
            page = (await client.get(path)).json()
            names += [each["name"] for each in page["products"]]
            path = page["page"]["next"]
        assert names == [f"pub.more{number}" for number in range(7)]
        assert (await client.get("/v1/products?q=nowhere")).json()["products"] == []
        for cursor in ("x", "W10", "bnVsbA", "WyJhIiwgImIiXQ"):
            assert await told(client, f"/v1/products?cursor={cursor}") == (400, "bad_cursor")
        for limit in ("0", "201", "x", "1e1", "-1", ""):
            assert await told(client, f"/v1/products?limit={limit}") == (400, "invalid_parameters")

    played(tmp_path, scene)


def test_documents_say_what_the_product_is(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        [line] = (await client.get("/v1/products")).json()["products"]
        assert (line["rows"], line["newest_session"], line["published_at"]) == (
            1000, "2024-02-19", "2026-01-01T00:00:00Z",
        )  # fmt: skip
        schema = (await client.get(f"{BARS}/schema")).json()
        assert [(each["name"], each["json"], each["key"]) for each in schema["columns"]] == [
            ("sec_id", "string", True),
            ("trade_date", "string", True),
            ("close", "string", False),
            ("volume", "number, beyond 2^53 a string of digits", False),
            ("name", "string", False),
        ]
        [version] = (await client.get(f"{BARS}/versions")).json()["versions"]
        assert (version["version"], version["state"], version["rows"]) == ("1.0", "stable", 1000)

    played(tmp_path, scene)


def test_the_condition_of_sessions_is_told(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, running: Running, home: ProductHome) -> None:
        first = (await client.get(DATA)).headers["datacanal-snapshot"]
        second = home.version("pub.bars", 1, bars(shift=1))
        home.point("pub.bars", second, at=EARLY + timedelta(days=1))
        home.restate("pub.bars", first, second, ["2024-01-11"])
        home.stable("pub.keyed", "SELECT 1 AS sec_id, 2 AS trade_date", contract=Contract(key=["sec_id"]))
        await running.newest(home)
        path = f"{BARS}/condition?from=2024-01-10&to=2024-01-12"
        said = (await client.get(path)).json()["sessions"]
        assert [each["condition"] for each in said] == ["available", "restated", "available"]
        before = (await client.get(f"{path}&snapshot={first}")).json()["sessions"]
        assert [each["condition"] for each in before] == ["available"] * 3
        for wrong in ("from=x", "to=2024-1-1", "from=2024-02-01&to=2024-01-01", "from=0001-01-01", "to=20240101"):
            assert await told(client, f"{BARS}/condition?{wrong}") == (400, "invalid_parameters")

    played(tmp_path, scene)


def test_an_estimate_says_rows_bytes_and_units(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        for body in ({"query": "sec_id=000001.XSHE&limit=1000"}, {"sec_id": "000001.XSHE", "limit": 1000}):
            said = (await client.post(f"{BARS}/estimate", json=body)).json()
            assert (said["rows"], said["units"], said["exact"], said["price"]) == (50, 50, True, None)
        answer = await client.get(f"{DATA}?sec_id=000001.XSHE", headers={"Accept": "application/x-ndjson"})
        assert said["bytes"] == int(answer.headers["datacanal-usage"].partition("bytes=")[2].partition(",")[0])
        many = (await client.post(f"{BARS}/estimate", json={"limit": 400, "close.gte": "12"})).json()
        assert (many["rows"], many["query"]) == (400, "close.gte=12.0000&limit=400")

    played(tmp_path, scene)


WRONG_BODIES = [
    (b"", 400, "bad_request"),
    (b"[]", 400, "bad_request"),
    (b"{", 400, "bad_request"),
    (b'{"close": NaN}', 400, "bad_request"),
    (b'{"close": null}', 400, "bad_field"),
    (b'{"close": {"gte": 1}}', 400, "bad_field"),
    (b'{"closs": 1}', 400, "invalid_parameters"),
    (b'{"query": "closs=1"}', 400, "invalid_parameters"),
    (b'{"query": 5}', 400, "invalid_parameters"),
    (b'{"close": "' + b"1" * 70_000 + b'"}', 413, "body_too_large"),
]


def test_an_estimate_of_nonsense_is_refused(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, _home: ProductHome) -> None:
        typed, path = {"Content-Type": "application/json"}, f"{BARS}/estimate"
        for body, status, code in WRONG_BODIES:
            assert await told(client, path, method="POST", content=body, headers=typed) == (status, code), body[:50]
        untyped = await told(client, path, method="POST", content=b"{}", headers={"Content-Type": "text/plain"})
        assert untyped == (415, "media_type_not_supported")

    played(tmp_path, scene)
