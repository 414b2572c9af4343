"""Several gateways of one home as processes of their own: one quota, one charge per Idempotency-Key, no spilled key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from tests.integration.test_gateway_process import Process, gateway
from tests.products import ProductHome, bars

from datacanal.domain.usage import Dimension, Period, Quota
from datacanal.ledger.models import EventRow, HoldRow, MeterRow

DATA = "/v1/products/pub.bars/data"
BUDGET = 10_000


@contextmanager
def gateways(folder: Path, home: ProductHome, many: int) -> Iterator[Sequence[Process]]:
    with ExitStack() as held:
        places = [folder / f"gateway{number}" for number in range(many)]
        for place in places:
            place.mkdir()
        yield [held.enter_context(gateway(place, home)) for place in places]
    home.book.store.close()


@pytest.mark.timeout(240)
def test_64_clients_of_four_gateways_get_all_that_is_left_and_nothing_beyond(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars", bars(20, 1000), visibility="listed")
    key = home.book.key(home.book.subscription("dev", "pub.bars", [Quota(Dimension.ROWS, BUDGET, Period.MONTH)]))

    def call_until_refused(number: int, process: Process) -> int:
        """Pages of all sizes, so that the last rows are fought for; the rows that were received."""
        rows, size = 0, 40 + number
        with process.client(key) as client:
            while size:
                answer = client.get(f"{DATA}?limit={size}")
                assert answer.status_code in (200, 429), answer.text
                if answer.status_code == 200:
                    rows += len(answer.json()["data"])
                else:
                    size //= 2
        return rows

    with gateways(tmp_path, home, 4) as processes, ThreadPoolExecutor(64) as clients:
        given = list(clients.map(lambda number: call_until_refused(number, processes[number % 4]), range(64)))
        with home.book.store.reading() as connection:
            charged = connection.execute(select(func.sum(EventRow.rows))).scalar()
            meter = connection.execute(select(MeterRow.used, MeterRow.held)).one()
    assert sum(given) == charged == BUDGET
    assert tuple(meter) == (BUDGET, 0)


@pytest.mark.timeout(240)
def test_100_threads_with_one_idempotency_key_are_one_charge_and_one_answer(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars", visibility="listed")
    key = home.book.key(home.book.subscription("dev", "pub.bars"))

    def call(process: Process) -> httpx.Response:
        with process.client(key) as client:
            return client.get(f"{DATA}?limit=77", headers={"Idempotency-Key": "once"})

    with gateways(tmp_path, home, 2) as processes, ThreadPoolExecutor(100) as threads:
        answers = list(threads.map(call, [processes[number % 2] for number in range(100)]))
        with home.book.store.reading_rows() as session:
            [event] = session.scalars(select(EventRow))
            assert session.scalars(select(HoldRow)).all() == []
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["datacanal-receipt"] for answer in answers} == {event.id}


def test_no_key_is_in_any_log_answer_or_file(tmp_path: Path) -> None:
    home = ProductHome(tmp_path)
    home.stable("pub.bars", visibility="listed")
    book = home.book
    subscription = book.subscription("dev", "pub.bars", [Quota(Dimension.ROWS, 10, Period.DAY)])
    keys = [book.key(subscription), book.key(subscription, "test"), book.key(subscription, scopes=["account"])]
    spilled = [*keys, keys[0][:-1], keys[0].replace("live", "test"), keys[0].upper()]
    said: list[str] = []
    place = tmp_path / "gateway"
    place.mkdir()
    process = Process(place, home, "", "127.0.0.1:0")
    try:
        for key in spilled:
            with process.client(key) as client:
                for path in (
                    f"{DATA}?limit=5",
                    f"{DATA}?limit=500",
                    f"/v1/products/{key}/data",
                    f"{DATA}?{key}=1",
                    "/v1/x",
                ):
                    answer = client.get(path, headers={"Idempotency-Key": "a"})
                    said.append(json.dumps([answer.text, *answer.headers.values()]))
    finally:
        process.popen.terminate()
        _, log = process.popen.communicate(timeout=20)
        book.store.close()
    files = [file.read_bytes() for file in [*home.home.rglob("*"), *place.rglob("*")] if file.is_file()]
    assert b"limit=5" in b"".join(files)
    for key in spilled:
        secret = re.split("_", key)[3]
        assert secret not in log
        assert not any(secret in each for each in said)
        assert not any(secret.encode() in content for content in files)
