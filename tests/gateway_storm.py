"""Clients that call gateways while these are killed, and what must be true of the book afterwards."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.e2e.service import free_ports
from tests.gateway_processes import answers, gateway_command
from tests.products import ProductHome

from datacanal.domain.usage import EventKind, Outcome
from datacanal.ledger.models import EventRow, HoldRow, MeterRow
from datacanal.ledger.store import LedgerStore

NDJSON = "application/x-ndjson"
PRODUCT = "pub.texts"
WIDE_ROWS = """SELECT i AS id,
    array_to_string(list_transform(range(16), lambda j: md5(CAST(i * 16 + j AS VARCHAR))), '') AS text
    FROM range(40000) AS a(i)"""
"""Some 550 bytes a row: 20,000 of them are a stream, 100 are not."""
STREAM_ROWS = 20_000
_PASSING = (409, 429, 503)
_READY_S = 60.0
_GIVEN_UP_S = 30.0
_ANSWERED_S = 90.0


@dataclass
class Told:
    """What the clients know: by Idempotency-Key the receipts of whole answers, and how many rows these had."""

    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rows: dict[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)
    """Receipts of streams that were broken off."""
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[object] = field(default_factory=list)
    """Answers that no client should get."""


class Gateways:
    """Gateway processes of one home, each on a port of its own; killed and started again."""

    def __init__(self, folder: Path, home: ProductHome, many: int) -> None:
        self._folder = folder
        self._home = home
        self.ports = free_ports(many)
        self._processes = [self._started(port) for port in self.ports]

    def url(self, number: int) -> str:
        """Where that one answers when it runs."""
        return f"http://127.0.0.1:{self.ports[number]}"

    def kill(self, number: int) -> None:
        """kill -9, and start it again at once."""
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()
        self._processes[number] = self._started(self.ports[number])

    def await_ready(self, number: int) -> None:
        """Until it answers."""
        until = time.monotonic() + _READY_S
        while not answers(self.url(number)):
            assert time.monotonic() < until, (self._folder / f"gateway-{self.ports[number]}.log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop all of them in order."""
        for process in self._processes:
            process.terminate()
        assert [process.wait(30) for process in self._processes] == [0] * len(self._processes)

    def logs(self) -> str:
        """All that they have said."""
        return "".join((self._folder / f"gateway-{port}.log").read_text() for port in self.ports)

    def _started(self, port: int) -> subprocess.Popen[bytes]:
        config, home = self._folder / f"gateway-{port}.toml", self._home
        command = gateway_command(config, home.home, home.store, f"127.0.0.1:{port}", database=home.database)
        with (self._folder / f"gateway-{port}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


@contextmanager
def gateways(folder: Path, home: ProductHome, many: int) -> Iterator[Gateways]:
    """They answer in the block and are stopped after it."""
    running = Gateways(folder, home, many)
    try:
        for number in range(many):
            running.await_ready(number)
        yield running
    finally:
        running.stop()


class Client:
    """Asks one thing after the other, each under an Idempotency-Key that it repeats until it has the whole answer."""

    def __init__(self, running: Gateways, key: str, name: int, seed: int, told: Told) -> None:
        self._running = running
        self._key = key
        self._name = name
        self._random = random.Random(f"{seed}/{name}")
        self._told = told

    def run(self, ended: threading.Event) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            self._ask_until_answered(f"{self._name}-{number}", ended)

    def _ask_until_answered(self, name: str, ended: threading.Event) -> None:
        is_stream = self._random.random() < 0.15
        rows = STREAM_ROWS if is_stream else self._random.randint(1, 100)
        query = {"limit": rows, "id.gte": self._random.randint(0, 10_000)}
        self._told.asked.add(name)
        while not ended.is_set() and not self._is_answered(name, query):
            ended.wait(0.02)

    def _is_answered(self, name: str, query: dict[str, int]) -> bool:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": name, "Accept": NDJSON}
        url = f"{self._running.url(self._random.randrange(len(self._running.ports)))}/v1/products/{PRODUCT}/data"
        receipt = None
        try:
            with httpx.stream("GET", url, params=query, headers=headers, timeout=60, trust_env=False) as answer:
                if answer.status_code != 200:
                    return self._is_final(answer)
                receipt = answer.headers["datacanal-receipt"]
                lines = answer.read().splitlines()
        except httpx.TransportError:
            if receipt is not None:
                self._told.partly.add(receipt)
            return False
        end = json.loads(lines[-1])
        if "end" not in end:
            self._told.partly.add(receipt)
            return False
        assert end["end"]["rows"] == len(lines) - 1 == query["limit"]
        self._told.receipts[name].add(receipt)
        self._told.rows[name] = query["limit"]
        return True

    def _is_final(self, answer: httpx.Response) -> bool:
        problem = json.loads(answer.read())
        self._told.refused[problem["code"]] += 1
        if answer.status_code not in _PASSING:
            self._told.wrong.append(problem)
        return problem["code"] == "quota_exhausted"


@contextmanager
def storm(running: Gateways, key: str, seed: int, clients: int) -> Iterator[Told]:
    """Clients that ask within the block."""
    told, ended = Told(), threading.Event()
    threads = [
        threading.Thread(target=Client(running, key, name, seed, told).run, args=(ended,), name=f"client-{name}")
        for name in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        ended.set()
        for thread in threads:
            thread.join(_ANSWERED_S)
    assert not told.wrong, told.wrong


def await_no_holds(store: LedgerStore) -> None:
    """Until every reservation was settled, or given up because its gateway is dead."""
    until = time.monotonic() + _GIVEN_UP_S
    while True:
        with store.reading_rows() as session:
            if not session.scalars(select(HoldRow).limit(1)).all():
                return
        assert time.monotonic() < until, "reservations stayed"
        time.sleep(0.2)


def check_book(store: LedgerStore, told: Told) -> dict[str, int]:
    """Compare the book with what the clients know; the figures of the comparison."""
    with store.reading_rows() as session:
        events = session.scalars(select(EventRow).order_by(EventRow.seq)).all()
        _check_meters(session, events)
    by_id = Counter(event.id for event in events)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    held = {receipt for receipts in told.receipts.values() for receipt in receipts} | told.partly
    assert {receipt for receipt in held if by_id[receipt] != 1} == set(), "receipts that are not in the book once"
    rows: Counter[str] = Counter()
    for event in events:
        name = _name_of(event)
        assert name in told.asked, f"no request caused {event.id}"
        rows[name] += event.rows
    charged_wrongly = {name: (rows[name], asked) for name, asked in told.rows.items() if rows[name] != asked}
    assert charged_wrongly == {}, "answers that were not charged exactly once"
    return {"events": len(events), "answers": len(told.rows), "broken off": len(told.partly)}


def _check_meters(session: Session, events: Sequence[EventRow]) -> None:
    for meter in session.scalars(select(MeterRow)):
        counted = sum(
            getattr(event, meter.dimension)
            for event in events
            if event.subscription_id == meter.subscription_id and event.reserved_at >= meter.start
        )
        assert (meter.used, meter.held) == (counted, 0), meter.dimension


def _name_of(event: EventRow) -> str:
    """The Idempotency-Key of the call; `2#` marks what completes an answer that was broken off."""
    assert event.kind in (EventKind.USAGE, EventKind.ABORTED)
    if event.kind == EventKind.ABORTED:
        assert (event.outcome, event.units, event.rows) == (Outcome.ABORTED, 0, 0)
    request = event.request_id.partition("#")[2] if event.corrects else event.request_id
    return request.removeprefix("key:")
