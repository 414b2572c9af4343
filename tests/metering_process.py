"""A gateway's meter as a process of its own: `python -m tests.metering_process HOME DATABASE GATEWAY WHAT`.

`spend` charges calls of 30 rows by 16 callers until the quota is used up and prints their receipts, `same` charges one
Idempotency-Key by 25 callers, `hold` makes three holds, says so, and settles them after a line of input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.meters import ROWS_A_DAY

from datacanal.domain.errors import DatacanalError
from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.domain.metering_errors import QuotaExhausted
from datacanal.domain.usage import Amounts, Dimension, Outcome, Terms
from datacanal.ledger.charges import Charge
from datacanal.ledger.meter import Hold, Meter
from datacanal.ledger.store import open_ledger

TERMS = Terms("acme", "acc_1", "sub_1", "pub.bars", None, Dimension.ROWS, (ROWS_A_DAY,))


def now() -> datetime:
    return datetime.now(UTC)


def new_charge(rows: int, request: str | None = None) -> Charge:
    receipt = new_id("rcp", now(), os.urandom(RANDOM_BYTES))
    amounts = Amounts(1, rows, rows, 0)
    asked = request or f"req:{receipt}"
    return Charge(receipt, asked, TERMS, "ann", "key_1", "1.0.0", "snp_1", "q" * 64, "p" * 64, amounts)


async def spend(meter: Meter) -> Sequence[str]:
    receipts: list[str] = []

    async def caller() -> None:
        try:
            while True:
                charge = new_charge(30)
                await meter.charge(charge)
                receipts.append(charge.receipt)
        except QuotaExhausted:
            return

    await asyncio.gather(*(caller() for _ in range(16)))
    return receipts


async def same(meter: Meter) -> Sequence[str]:
    answers = await asyncio.gather(*(meter.charge(new_charge(7, "key:same")) for _ in range(25)))
    return [f"{type(each).__name__} {each.receipt}" for each in answers]


async def hold(meter: Meter) -> Sequence[str]:
    holds = [await meter.hold(new_charge(100)) for _ in range(3)]
    print("held", flush=True)  # noqa: T201  # what started this waits for it
    await asyncio.to_thread(sys.stdin.readline)
    return [await _settled(each) for each in holds if isinstance(each, Hold)]


async def _settled(held: Hold) -> str:
    try:
        return (await held.settle(Amounts(1, 50, 50, 0), Outcome.COMPLETE)).receipt
    except DatacanalError as error:
        return error.code


async def main(home: str, database: str, gateway: str, what: str) -> None:
    store = open_ledger(Path(home), database)
    meter = Meter(store, gateway, now)
    await meter.start()
    lines = await {"spend": spend, "same": same, "hold": hold}[what](meter)
    await meter.close()
    store.close()
    print("".join(f"{line}\n" for line in lines), end="")  # noqa: T201  # what started this reads it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
