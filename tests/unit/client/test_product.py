"""What a product object asks of a gateway, and what it believes of the answers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import numpy as np
import pyarrow as pa
import pytest

from datacanal.client import Client
from datacanal.domain.errors import BadField, RemoteError, ResultDamaged, ServiceUnreachable

ROWS = pa.table({"id": list(range(10)), "名": [f"行{n}" for n in range(10)]})


def arrow(rows: pa.Table, following: str | None = None) -> bytes:
    """A stream as a gateway ends long ones: the last batch is empty and says what follows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
        if following is not None:
            last = pa.RecordBatch.from_pylist([], schema=rows.schema)
            stream.write_batch(last, custom_metadata={"datacanal.end": json.dumps({"next": following})})
    return bytes(sink.getvalue())


class Gateway:
    """Ten rows in pages, each with an ETag; it writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.busy = 0
        self.in_metadata = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, headers={"Retry-After": "0"}, json=problem("too_many", 429))
        query = request.url.params
        first, limit = int(query.get("cursor", 0)), int(query["limit"])
        etag = f'"{first}-{limit}"'
        if request.headers.get("If-None-Match") == etag:
            return httpx.Response(304, headers={"ETag": etag})
        end = first + limit
        following = f"/v1/products/b.t/data?limit={limit}&cursor={end}" if end < ROWS.num_rows else None
        rows = ROWS.slice(first, limit)
        headers = {"ETag": etag, "Datacanal-Snapshot": "snp_1"}
        if self.in_metadata:
            return httpx.Response(200, content=arrow(rows, following or ""), headers=headers)
        if following:
            headers["Link"] = f'<{following}>; rel="next"'
        return httpx.Response(200, content=arrow(rows), headers=headers)


def problem(code: str, status: int) -> dict[str, object]:
    return {
        "type": f"urn:datacanal:problem:{code}", "title": code, "status": status, "detail": "It is so.", "code": code,
        "kind": "user", "remedy": "Do that.", "retriable": False, "data": {},
    }  # fmt: skip


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def client(gateway: Gateway) -> Client:
    return Client("http://service", "dct_x_y", gateway="http://gateway", transport=httpx.MockTransport(gateway))


@pytest.mark.parametrize("in_metadata", [False, True], ids=["in the head", "at the end of the stream"])
def test_all_pages_make_the_table(gateway: Gateway, client: Client, in_metadata: bool) -> None:
    gateway.in_metadata = in_metadata
    assert client.product("b.t").to_arrow(page_rows=3) == ROWS
    assert [int(each.url.params.get("cursor", 0)) for each in gateway.asked] == [0, 3, 6, 9]
    assert {each.url.host for each in gateway.asked} == {"gateway"}


def test_a_limit_is_of_rows_in_all(gateway: Gateway, client: Client) -> None:
    assert client.product("b.t").to_arrow(limit=4, page_rows=3).num_rows == 4
    assert len(gateway.asked) == 2
    assert client.product("b.t").to_arrow(limit=2).num_rows == 2
    assert [each.url.params["limit"] for each in gateway.asked] == ["3", "1", "2"]


def test_a_page_that_did_not_change_is_not_fetched_again(gateway: Gateway, client: Client) -> None:
    product = client.product("b.t")
    assert product.to_arrow(page_rows=5) == product.to_arrow(page_rows=5)
    assert [each.headers.get("If-None-Match") for each in gateway.asked] == [None, None, '"0-5"', '"5-5"']


def test_filters_are_python_s(gateway: Gateway, client: Client) -> None:
    client.product("b.t", channel="canary").to_pandas(
        sec_id=["000001.XSHE", 'a,"b"'],
        day__gte=date(2024, 1, 2),
        seen__lt=datetime(2024, 1, 2, 3, tzinfo=UTC),
        price=Decimal("1.50"),
        volume__ne=np.int64(7),
        open__isnull=False,
        close=None,
        where={"成交量.gte": 5, "limit.eq": 3},
        select=["sec_id", "day"],
        order="-day",
    )
    assert gateway.asked[0].url.params.multi_items() == [
        ("sec_id", '000001.XSHE,"a,\\"b\\""'),
        ("day.gte", "2024-01-02"),
        ("seen.lt", "2024-01-02T03:00:00+00:00"),
        ("price", "1.50"),
        ("volume.ne", "7"),
        ("open.isnull", "false"),
        ("close.isnull", "true"),
        ("成交量.gte", "5"),
        ("limit.eq", "3"),
        ("select", "sec_id,day"),
        ("order", "-day"),
        ("channel", "canary"),
        ("limit", "100000"),
    ]


def test_a_gateway_that_says_when_to_come_back_is_asked_again(gateway: Gateway, client: Client) -> None:
    gateway.busy = 2
    assert client.product("b.t").to_arrow(limit=1).num_rows == 1
    assert len(gateway.asked) == 3


def test_a_repeated_call_is_charged_once_and_the_next_page_is_another_call(gateway: Gateway, client: Client) -> None:
    gateway.busy = 1
    client.product("b.t").to_arrow(limit=10_000)
    list(client.product("b.t").bodies("text/csv", [], limit=5))
    first, again, *others = [each.headers["Idempotency-Key"] for each in gateway.asked]
    assert first == again
    assert len({first, *others}) == 1 + len(others)


def test_what_the_gateway_refuses_is_raised_with_its_code() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json=problem("no_subscription", 403)))
    with pytest.raises(RemoteError, match="It is so") as refused:
        Client("http://service", "dct_x_y", transport=transport).product("b.t").to_arrow()
    assert refused.value.code == "no_subscription"


@pytest.mark.parametrize("missing", [1, 8, 40, 400])
def test_a_stream_without_its_end_is_damaged(missing: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=arrow(ROWS)[:-missing]))
    with pytest.raises(ResultDamaged):
        Client("http://service", "dct_x_y", transport=transport).product("b.t").to_arrow()


def test_a_gateway_that_is_not_there_is_told() -> None:
    with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:1"):
        Client("http://127.0.0.1:1", "dct_x_y", gateway="http://127.0.0.1:1").product("b.t").to_arrow()


@pytest.mark.parametrize(
    ("arguments", "query", "field"),
    [
        ({"as_of": datetime(2024, 1, 1)}, {}, "as_of"),  # noqa: DTZ001  # that it lacks a zone is the point
        ({"as_of": "2024-01-01T00:00:00Z", "snapshot": "snp_1"}, {}, "as_of and snapshot"),
        ({}, {"limit": 0}, "limit"),
        ({}, {"page_rows": 2_000_000}, "page_rows"),
        ({}, {"sec_id": []}, "sec_id"),
        ({}, {"sec_id": {"a": 1}}, "sec_id"),
    ],
)
def test_what_no_address_can_say_is_refused_before_it_is_asked(
    gateway: Gateway, client: Client, arguments: dict[str, object], query: dict[str, object], field: str
) -> None:
    with pytest.raises(BadField) as refused:
        client.product("b.t", **arguments).to_arrow(**query)  # type: ignore[arg-type]  # wrong ones are the point
    assert refused.value.data["field"] == field
    assert gateway.asked == []


def test_a_name_without_a_publisher_is_refused(client: Client) -> None:
    with pytest.raises(BadField, match=r"publisher\.product"):
        client.product("bars")
