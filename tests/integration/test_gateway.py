"""The gateway over HTTP: a product's data, its versions and its documents."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from tests.integration.gateway_scene import ARROW, BARS, DATA, FORMATS, PARQUET, played, told
from tests.products import EARLY, ProductHome, Running, bars

from datacanal.gateway.producing import END_KEY
from datacanal.protocol.products import Contract


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
        for wrong in (
            "from=x",
            "to=2024-1-1",
            "from=2024-02-01&to=2024-01-01",
            "from=0001-01-01",
            "to=20240101",
            "to=2026-W13-2",
        ):
            assert await told(client, f"{BARS}/condition?{wrong}") == (400, "invalid_parameters")
        first_days = (await client.get(f"{BARS}/condition?to=0001-02-01")).json()
        assert (first_days["from"], first_days["sessions"]) == ("0001-01-01", [])

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
