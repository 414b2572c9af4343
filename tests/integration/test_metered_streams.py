"""The gateway over HTTP: long answers are reserved as they go and settled with what was sent."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.integration.gateway_scene import ARROW, DATA, FORMATS, told
from tests.integration.metered_scene import NDJSON, events, holds, key_id, played
from tests.products import ProductHome, Running, bars

from datacanal.domain.usage import Dimension, Outcome, Period, Quota
from datacanal.gateway.producing import END_KEY
from datacanal.ledger.models import EventRow, KeyRow

LONG = f"{DATA}?limit=1000000"

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


def test_a_call_under_a_key_whose_stream_is_under_way_waits_for_its_end(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        headers = {"Accept": NDJSON, "Accept-Encoding": "identity", "Idempotency-Key": "walk"}
        async with client.stream("GET", LONG, headers=headers) as answer:
            assert answer.status_code == 200
            [hold] = holds(home)
            assert (hold.id, hold.rows) == (answer.headers["datacanal-receipt"], 800_000)
            assert await told(client, LONG, headers=headers) == (409, "request_in_progress")
            other = {**headers, "Accept": ARROW}
            assert await told(client, LONG, headers=other) == (409, "idempotency_conflict")
        await _settled(home, 1)
        assert holds(home) == []

    played(tmp_path, scene, rows=bars(2000, 400))


def test_a_key_that_is_revoked_under_a_stream_does_not_break_it(tmp_path: Path) -> None:
    async def scene(client: httpx.AsyncClient, _running: Running, home: ProductHome) -> None:
        async with client.stream("GET", LONG, headers={"Accept": NDJSON, "Accept-Encoding": "identity"}) as answer:
            home.book.change(KeyRow, key_id(client), revoked_at=datetime.now(UTC))
            lines = [line async for line in answer.aiter_lines()]
        [event] = await _settled(home, 1)
        assert (event.rows, event.outcome, json.loads(lines[-1])["end"]["rows"]) == (200_000, "complete", 200_000)
        assert await told(client, DATA) == (401, "key_revoked")

    played(tmp_path, scene, rows=MANY)
