"""Shared executions, bounded ones, and memory of answers that stays in its bounds."""

from __future__ import annotations

import asyncio
import threading

import pytest

from datacanal.domain.errors import ServiceBusy
from datacanal.domain.product_errors import QueryTooSlow
from datacanal.gateway.cache import Cache
from datacanal.gateway.executions import Executions
from datacanal.gateway.flights import Flights
from datacanal.gateway.slots import Slots


def test_equal_questions_are_executed_once() -> None:
    async def scene() -> None:
        began, go_on = 0, asyncio.Event()

        async def execute() -> int:
            nonlocal began
            began += 1
            await go_on.wait()
            return 7

        flights: Flights[int] = Flights()
        callers = [asyncio.create_task(flights.join("key", execute)) for _ in range(20)]
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*callers) == [7] * 20
        assert began == 1
        assert await flights.join("key", execute) == 7
        assert began == 2

    asyncio.run(scene())


def test_an_execution_ends_when_the_last_of_its_callers_has_left_and_not_before() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def execute() -> int:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return 1

        flights: Flights[int] = Flights()
        first, second = (asyncio.create_task(flights.join("key", execute)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        assert not ended.is_set()
        second.cancel()
        await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(scene())


def test_a_failure_reaches_everybody_who_waits_and_nobody_who_asks_later() -> None:
    async def scene() -> None:
        failing = True

        async def execute() -> int:
            await asyncio.sleep(0)
            if failing:
                raise ServiceBusy(reason="for the test")
            return 3

        flights: Flights[int] = Flights()
        told = await asyncio.gather(*(flights.join("key", execute) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in told] == [ServiceBusy] * 3
        failing = False
        assert await flights.join("key", execute) == 3

    asyncio.run(scene())


def test_more_than_may_wait_are_refused_at_once() -> None:
    async def scene() -> None:
        slots = Slots(1, waiting=1, wait_s=30)
        await slots.take()
        waiting = asyncio.create_task(slots.take())
        await asyncio.sleep(0)
        with pytest.raises(ServiceBusy):
            await slots.take()
        slots.give_back()
        await waiting

    asyncio.run(scene())


def test_nobody_waits_longer_than_the_deadline() -> None:
    async def scene() -> None:
        slots = Slots(1, waiting=5, wait_s=0.01)
        await slots.take()
        with pytest.raises(ServiceBusy):
            await slots.take()

    asyncio.run(scene())


class WorkThatNeverEnds:
    """Until it is interrupted; says when that was."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()
        self.began = threading.Event()
        self.ended = threading.Event()

    def work(self) -> None:
        self.began.set()
        self._interrupted.wait(30)
        self.ended.set()

    def interrupt(self) -> None:
        self._interrupted.set()


def executions(timeout_s: float) -> Executions:
    def nothing(_asked: object) -> None:
        raise AssertionError("no answer is produced here")

    return Executions(nothing, threads=1, timeout_s=timeout_s)  # type: ignore[arg-type]  # as it says


def test_work_that_takes_too_long_is_interrupted_and_its_thread_is_free_again() -> None:
    async def scene() -> None:
        running, slow = executions(0.05), WorkThatNeverEnds()
        with pytest.raises(QueryTooSlow):
            await running.limited(slow.work, slow.interrupt)
        assert await running.limited(lambda: 5, lambda: None) == 5
        assert slow.ended.is_set()
        running.close()

    asyncio.run(scene())


def test_work_that_nobody_waits_for_is_interrupted() -> None:
    async def scene() -> None:
        running, slow = executions(30), WorkThatNeverEnds()
        task = asyncio.create_task(running.limited(slow.work, slow.interrupt))
        await asyncio.to_thread(slow.began.wait, 30)
        task.cancel()
        await asyncio.wait({task})
        assert await running.limited(lambda: 5, lambda: None) == 5
        assert slow.ended.is_set()
        running.close()

    asyncio.run(scene())


def test_what_was_wanted_last_stays_in_memory_and_the_bytes_stay_bounded() -> None:
    cache: Cache[int] = Cache(80)
    for number in range(10):
        cache.put(number, number, 10)
        cache.get(0)
        assert cache.held_bytes <= 80
    assert [number for number in range(10) if cache.get(number) is not None] == [0, 3, 4, 5, 6, 7, 8, 9]


def test_what_is_too_large_is_not_kept_and_what_is_put_twice_counts_once() -> None:
    cache: Cache[str] = Cache(80)
    cache.put("large", "", 11)
    assert cache.get("large") is None
    cache.put("small", "old", 10)
    cache.put("small", "new", 5)
    assert (cache.get("small"), cache.held_bytes) == ("new", 5)
