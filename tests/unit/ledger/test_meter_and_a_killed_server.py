"""PostgreSQL is killed under a meter: what was answered stands in the book once, and it goes on afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.metering_process import new_charge, now
from tests.meters import Subscriber, is_chained, rows_a_day
from tests.plugins.postgres import PostgresServer

from datacanal.domain.errors import ServiceBusy, StoreUnavailable
from datacanal.domain.usage import Dimension, Period, Quota
from datacanal.ledger.charges import Charged
from datacanal.ledger.meter import Meter
from datacanal.ledger.store import open_ledger

CALLERS, BEFORE, AFTER = 8, 50, 50


class Callers:
    """Each charges one call after another; `charged` are the receipts that were answered, `asked` all."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.charged: list[str] = []
        self.asked: list[str] = []
        self.is_enough = False
        self.refused = asyncio.Event()
        self._goal = 0
        self._reached = asyncio.Event()

    async def call(self) -> None:
        while not self.is_enough:
            charge = new_charge(1)
            self.asked.append(charge.receipt)
            try:
                answer = await self._meter.charge(charge)
                assert isinstance(answer, Charged)
                self.charged.append(charge.receipt)
                if len(self.charged) >= self._goal:
                    self._reached.set()
            except (StoreUnavailable, ServiceBusy):
                self.refused.set()

    async def until(self, number: int) -> None:
        self._goal = number
        self._reached.clear()
        await self._reached.wait()


@pytest.mark.postgres
def test_what_was_answered_is_in_the_book_once(
    postgres: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    store = open_ledger(tmp_path, postgres_database)
    ann = Subscriber(store, quotas=(rows_a_day(10**9), Quota(Dimension.CALLS, 10**9, Period.MONTH)))
    ann.now = now()

    async def run() -> Callers:
        meter = Meter(store, "gw_1", now)
        await meter.start()
        callers = Callers(meter)
        calling = [asyncio.create_task(callers.call()) for _ in range(CALLERS)]
        await callers.until(BEFORE)
        postgres.kill()
        await callers.refused.wait()
        postgres.start()  # here, because the server ends with the thread that started it
        await callers.until(len(callers.charged) + AFTER)
        callers.is_enough = True
        await asyncio.gather(*calling)
        await meter.close()
        return callers

    callers = asyncio.run(run())
    written = [event.id for event in ann.events()]
    assert len(written) == len(set(written))
    assert set(callers.charged) <= set(written) <= set(callers.asked)
    assert ann.rows() == (len(written), 0)
    assert is_chained(store)
    store.close()
