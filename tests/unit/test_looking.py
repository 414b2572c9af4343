"""Looks that many share."""

from __future__ import annotations

import asyncio
import threading

import pytest

from datacanal.looking import SharedLook


class Looks:
    """Counts looks; each waits until it may end."""

    def __init__(self) -> None:
        self.begun = 0
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def __call__(self) -> None:
        self.begun += 1
        self.began.release()
        self.may_end.acquire()


def test_whoever_asks_during_a_look_shares_the_next_one() -> None:
    async def run() -> None:
        looks = Looks()
        shared = SharedLook(looks)
        first = asyncio.create_task(shared.join())
        await asyncio.to_thread(looks.began.acquire)
        later = [asyncio.create_task(shared.join()) for _ in range(100)]
        await asyncio.sleep(0)
        looks.may_end.release()
        await first
        assert not any(each.done() for each in later)
        looks.may_end.release()
        await asyncio.gather(*later)
        assert looks.begun == 2

    asyncio.run(run())


def test_a_look_that_fails_fails_for_those_who_shared_it_alone() -> None:
    failing = [True]

    def look() -> None:
        if failing.pop() if failing else False:
            raise OSError("away")

    async def run() -> None:
        shared = SharedLook(look)
        with pytest.raises(OSError, match="away"):
            await shared.join()
        await shared.join()

    asyncio.run(run())
