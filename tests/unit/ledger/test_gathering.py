"""Those who are there wait for those who are on their way, and for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from datacanal.ledger.gathering import Gathering


class Room:
    """Who is there; `began` has how many they were, each time."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.began: list[int] = []
        self.has_begun = asyncio.Event()
        self.gathering = Gathering(self.there, self._begin)

    def come(self, who: str = "ann") -> None:
        self.there.append(who)
        self.gathering.arrived(asyncio.get_running_loop())

    def _begin(self) -> None:
        self.began.append(len(self.there))
        self.there.clear()
        self.has_begun.set()


def within_a_loop(of: Coroutine[Any, Any, None]) -> None:
    asyncio.run(of)


def test_who_is_alone_waits_for_nobody() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting():
            room.come()
            assert room.began == [1]
        room.come()
        assert room.began == [1, 1]

    within_a_loop(run())


def test_all_who_are_expected_are_served_together() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting(), room.gathering.expecting(), room.gathering.expecting():
            room.come()
            room.come()
            assert room.began == []
            room.come()
            assert room.began == [3]

    within_a_loop(run())


def test_who_leaves_is_not_waited_for() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting():
            with room.gathering.expecting():
                room.come()
                assert room.began == []
            assert room.began == [1]

    within_a_loop(run())


def test_who_leaves_early_leaves_once() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting(), room.gathering.expecting(), room.gathering.expecting() as early:
            room.come()
            early.leave()
            early.leave()
            assert room.began == []
            room.come()
            assert room.began == [2]

    within_a_loop(run())


def test_who_breaks_off_is_not_waited_for() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting():
            with suppress(ValueError), room.gathering.expecting():
                room.come()
                assert room.began == []
                raise ValueError
            assert room.began == [1]

    within_a_loop(run())


def test_nobody_waits_for_ever() -> None:
    async def run() -> None:
        room = Room()
        with room.gathering.expecting(), room.gathering.expecting():
            room.come()
            await room.has_begun.wait()
            assert room.began == [1]

    within_a_loop(run())
