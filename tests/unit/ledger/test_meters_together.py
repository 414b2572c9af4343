"""Meters of several processes on one book: they count as one, and whoever ends ungently is cleaned up after."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.metering_process import new_charge, now
from tests.meters import Subscriber, is_chained

from datacanal.domain.errors import StoreUnavailable
from datacanal.domain.metering_errors import QuotaExhausted
from datacanal.domain.usage import Amounts, Outcome
from datacanal.ledger.charges import Charged, Replay
from datacanal.ledger.lives import LOOKS
from datacanal.ledger.meter import Hold, Meter
from datacanal.ledger.models import GatewayRow
from datacanal.ledger.store import LedgerStore

Start = Callable[[str, str], subprocess.Popen[str]]
Act = Callable[[Meter], Coroutine[Any, Any, Any]]


@pytest.fixture
def ann(any_ledger: LedgerStore) -> Iterator[Subscriber]:
    ann = Subscriber(any_ledger)
    ann.now = now()
    yield ann
    assert is_chained(ann.store)


@pytest.fixture
def process(any_database: str, tmp_path: Path) -> Start:
    """Starts a gateway's meter that does what it is told on the same book."""

    def start(gateway: str, what: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.metering_process", str(tmp_path / "home"), any_database, gateway, what]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    return start


def four_processes(process: Start, what: str) -> list[str]:
    """The lines that they print."""
    running = [process(f"gw_{number}", what) for number in range(4)]
    return [line for each in running for line in each.communicate(timeout=100)[0].splitlines()]


def with_meter(ann: Subscriber, do: Act, gateway: str = "gw_0") -> Any:
    async def run() -> Any:
        meter = Meter(ann.store, gateway, now)
        await meter.start()
        try:
            return await do(meter)
        finally:
            await meter.close()

    return asyncio.run(run())


async def _look_until_dead(meter: Meter) -> None:
    for _ in range(LOOKS + 1):
        await meter.beat()


# ---------------------------------------------------------------- many at once


def test_a_call_that_stands_in_the_book_is_answered_by_it_and_spoils_no_other(ann: Subscriber) -> None:
    """Calls under ids of ours are not looked for first."""

    async def do(meter: Meter) -> None:
        charge, other = ann.charge(), ann.charge()
        first = await meter.charge(charge)
        again, later = await asyncio.gather(meter.charge(charge), meter.charge(other))
        assert (again.receipt, again.at, later.receipt) == (first.receipt, first.at, other.receipt)

    with_meter(ann, do)
    assert [event.seq for event in ann.events()] == [1, 2]


def test_64_callers_of_four_processes_get_the_most_that_fits_and_not_a_row_more(
    ann: Subscriber, process: Start
) -> None:
    receipts = four_processes(process, "spend")
    assert ann.rows() == (10_000 // 30 * 30, 0)
    assert sorted(receipts) == sorted(event.id for event in ann.events())
    assert len(receipts) == 10_000 // 30


def test_100_callers_of_four_processes_with_one_key_are_charged_once(ann: Subscriber, process: Start) -> None:
    answers = four_processes(process, "same")
    [event] = ann.events()
    assert sorted(answers) == sorted([f"Charged {event.id}", *[f"Replay {event.id}"] * 99])
    assert ann.rows() == (7, 0)


# ---------------------------------------------------------------- what a gateway leaves behind


def held_by_another(process: Start) -> subprocess.Popen[str]:
    other = process("gw_other", "hold")
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_the_holds_of_a_killed_gateway_are_given_up(ann: Subscriber, process: Start) -> None:
    other = held_by_another(process)
    assert ann.rows() == (0, 300)
    held = sorted(each.id for each in ann.holds())
    other.kill()
    other.communicate()
    with_meter(ann, _look_until_dead)
    assert sorted((event.id, event.kind, event.units) for event in ann.events()) == [
        (id_, "aborted", 0) for id_ in held
    ]
    assert ann.rows() == (0, 0)
    assert ann.holds() == []


def test_a_gateway_that_was_stopped_for_too_long_has_lost_its_holds(ann: Subscriber, process: Start) -> None:
    other = held_by_another(process)
    other.send_signal(signal.SIGSTOP)
    with_meter(ann, _look_until_dead)
    other.send_signal(signal.SIGCONT)
    said, _ = other.communicate("settle\n", timeout=60)
    assert said.split() == ["reservation_lost"] * 3
    assert [event.kind for event in ann.events()] == ["aborted"] * 3
    assert ann.rows() == (0, 0)


def test_a_gateway_that_lives_keeps_its_holds(ann: Subscriber) -> None:
    async def do(meter: Meter) -> Charged:
        other = Meter(ann.store, "gw_1", now)
        await other.start()
        held = await meter.hold(new_charge(100))
        for _ in range(LOOKS + 5):
            await other.beat()
            await meter.beat()
        await other.close()
        assert isinstance(held, Hold)
        return await held.settle(Amounts(1, 60, 60, 0), Outcome.COMPLETE)

    assert with_meter(ann, do).amounts.rows == 60
    assert ann.rows() == (60, 0)


def test_holds_of_a_gateway_that_never_said_a_word_are_given_up(ann: Subscriber) -> None:
    async def run() -> None:
        meter, looker = Meter(ann.store, "gw_0", now), Meter(ann.store, "gw_1", now)
        await meter.start()
        await meter.hold(new_charge(100))
        with ann.store.writing() as connection:
            connection.exec_driver_sql("DELETE FROM gateways")
        await looker.start()
        await _look_until_dead(looker)
        await looker.close()
        await meter.close()

    asyncio.run(run())
    assert [event.kind for event in ann.events()] == ["aborted"]
    assert ann.rows() == (0, 0)


def test_a_gateway_gives_up_what_an_earlier_one_of_its_name_held(ann: Subscriber, process: Start) -> None:
    other = held_by_another(process)
    other.kill()
    other.communicate()

    async def nothing(_meter: Meter) -> None: ...

    with_meter(ann, nothing, "gw_other")
    assert ann.rows() == (0, 0)
    assert len(ann.events()) == 3


def test_a_meter_that_closes_holds_nothing_and_is_not_missed(ann: Subscriber) -> None:
    held = with_meter(ann, lambda meter: meter.hold(new_charge(100)))
    assert isinstance(held, Hold)
    assert ann.rows() == (0, 0)
    with ann.store.reading_rows() as session:
        assert session.query(GatewayRow).all() == []


# ---------------------------------------------------------------- one meter


def test_a_caller_who_leaves_while_it_is_held_for_holds_nothing(ann: Subscriber) -> None:
    async def do(meter: Meter) -> None:
        with ann.store.writing():  # the meter waits for its turn
            asking = asyncio.create_task(meter.hold(new_charge(100)))
            await asyncio.sleep(0)
            asking.cancel()
        await asyncio.wait([asking])
        await meter.beat()

    with_meter(ann, do)
    assert [event.outcome for event in ann.events()] == ["aborted"]
    assert ann.rows() == (0, 0)


def test_a_stream_holds_takes_and_settles(ann: Subscriber) -> None:
    async def do(meter: Meter) -> tuple[Charged, Charged]:
        held = await meter.hold(new_charge(100))
        assert isinstance(held, Hold)
        await held.take(Amounts(bytes=900))
        with pytest.raises(QuotaExhausted):
            await held.take(Amounts(rows=10_000))
        return held.charged, await held.settle(Amounts(1, 80, 950, 3), Outcome.PARTIAL)

    reserved, charged = with_meter(ann, do)
    assert reserved.amounts == Amounts(1, 100, 1_000, 0)
    assert charged.amounts == Amounts(1, 80, 950, 0)


def test_what_was_charged_is_found(ann: Subscriber) -> None:
    async def do(meter: Meter) -> tuple[Replay | None, Replay | None]:
        before = await meter.find("acc_1", "key:a")
        await meter.charge(new_charge(10, "key:a"))
        return before, await meter.find("acc_1", "key:a")

    before, found = with_meter(ann, do)
    assert before is None
    assert (found.amounts, found.snapshot, found.is_complete) == (Amounts(1, 10, 10, 0), "snp_1", True)


def test_what_is_left_is_known_without_a_call(ann: Subscriber) -> None:
    async def do(meter: Meter) -> tuple[Any, Any]:
        before = await meter.left(ann.terms)
        await meter.charge(new_charge(10))
        return before, await meter.left(ann.terms)

    (before,), (after,) = with_meter(ann, do)
    assert (before.remaining, after.remaining) == (10_000, 9_990)
    assert list(ann.meters().values()) == [(10, 0)]


class StoreThatIsAway:
    """The store while `is_away` is not set."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self.is_away = False

    def turn(self) -> Any:
        if self.is_away:
            raise StoreUnavailable(reason="it does not answer")
        return self._store.turn()


def test_what_could_not_be_settled_is_settled_when_the_database_is_back(ann: Subscriber) -> None:
    store = StoreThatIsAway(ann.store)

    async def run() -> None:
        meter = Meter(store, "gw_0", now)  # type: ignore[arg-type]
        await meter.start()
        held = await meter.hold(new_charge(100))
        assert isinstance(held, Hold)
        store.is_away = True
        with pytest.raises(StoreUnavailable):
            await held.settle(Amounts(1, 60, 60, 0), Outcome.COMPLETE)
        store.is_away = False
        await meter.beat()
        await meter.close()

    asyncio.run(run())
    assert ann.rows() == (60, 0)
    assert [event.outcome for event in ann.events()] == ["complete"]


def test_a_meter_closes_also_while_the_database_is_away(ann: Subscriber) -> None:
    store = StoreThatIsAway(ann.store)

    async def run() -> None:
        meter = Meter(store, "gw_0", now)  # type: ignore[arg-type]
        await meter.start()
        store.is_away = True
        await meter.close()

    asyncio.run(run())
    with ann.store.reading_rows() as session:
        assert session.query(GatewayRow).count() == 1
