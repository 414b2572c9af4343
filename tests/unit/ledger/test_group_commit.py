"""Those that ask while a transaction is under way share the next one, and none spoils another's answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from datacanal.domain.errors import ServiceBusy, StoreUnavailable
from datacanal.ledger.group_commit import GroupCommit
from datacanal.ledger.store import LedgerStore, open_ledger
from datacanal.ledger.turns import CommitUnheard

UNAVAILABLE = {"reason": "gone"}


class Writer:
    """Answers each ask by itself; `gate` holds transactions back, `began` says that one is there."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.were_new: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def write(self, _connection: Connection, asks: Sequence[str], *, are_new: bool) -> list[str]:
        self.were_new.append(are_new)
        self.began.set()
        self.gate.wait()
        if "bad" in asks:
            raise ValueError
        self.batches.append(list(asks))
        return [f"{each}!" for each in asks]


class StoreThatIsAway:
    """Each transaction ends with the next of these errors, then all is well."""

    def __init__(self, *errors: Exception, before: bool = False) -> None:
        self._errors = list(errors)
        self._before = before

    @contextmanager
    def turn(self) -> Iterator[None]:
        error = self._errors.pop(0) if self._errors else None
        if error and self._before:
            raise error
        yield None
        if error:
            raise error


def commits(store: Any, writer: Writer, do: Callable[[GroupCommit[str]], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        group: GroupCommit[str] = GroupCommit(store, writer.write)
        group.start()
        try:
            return await do(group)
        finally:
            writer.gate.set()
            await group.close()

    return asyncio.run(run())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LedgerStore]:
    store = open_ledger(tmp_path)
    yield store
    store.close()


async def _held_back(group: GroupCommit[str], writer: Writer) -> asyncio.Task[str]:
    """A transaction that is under way until the gate opens."""
    writer.gate.clear()
    first = asyncio.create_task(group.ask("first"))
    await asyncio.to_thread(writer.began.wait)
    return first


def test_who_asks_meanwhile_shares_the_next_transaction(store: LedgerStore) -> None:
    writer = Writer()

    async def do(group: GroupCommit[str]) -> list[str]:
        first = await _held_back(group, writer)
        others = [asyncio.create_task(group.ask(f"{each}")) for each in range(10)]
        await asyncio.sleep(0)
        writer.gate.set()
        return await asyncio.gather(first, *others)

    assert commits(store, writer, do) == ["first!", *(f"{each}!" for each in range(10))]
    assert writer.batches == [["first"], [f"{each}" for each in range(10)]]


def test_an_ask_that_breaks_its_transaction_spoils_no_other(store: LedgerStore) -> None:
    writer = Writer()

    async def do(group: GroupCommit[str]) -> list[Any]:
        first = await _held_back(group, writer)
        others = [asyncio.create_task(group.ask(each)) for each in ("a", "bad", "b")]
        await asyncio.sleep(0)
        writer.gate.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, a, bad, b = commits(store, writer, do)
    assert (first, a, b) == ("first!", "a!", "b!")
    assert isinstance(bad, ServiceBusy)


def test_an_answer_that_nobody_waits_for_is_handed_over(store: LedgerStore) -> None:
    writer = Writer()
    unheard: list[str] = []

    async def do(group: GroupCommit[str]) -> None:
        await _held_back(group, writer)
        leaving = asyncio.create_task(group.ask("leaving", unheard.append))
        await asyncio.sleep(0)
        leaving.cancel()
        writer.gate.set()
        await group.ask("last")

    commits(store, writer, do)
    assert unheard == ["leaving!"]


def test_what_was_asked_for_before_the_end_is_written(store: LedgerStore) -> None:
    writer = Writer()

    async def do(group: GroupCommit[str]) -> list[str]:
        first = await _held_back(group, writer)
        others = [asyncio.create_task(group.ask(f"{each}")) for each in range(600)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(group.close())
        await asyncio.sleep(0)
        writer.gate.set()
        await closing
        return await asyncio.gather(first, *others)

    assert commits(store, writer, do) == ["first!", *(f"{each}!" for each in range(600))]


@pytest.mark.parametrize("before", [True, False])
def test_a_store_that_is_away_is_said_to_all(before: bool) -> None:
    async def do(group: GroupCommit[str]) -> str:
        with pytest.raises(StoreUnavailable):
            await group.ask("a")
        return await group.ask("b")

    store = StoreThatIsAway(StoreUnavailable(**UNAVAILABLE), before=before)
    assert commits(store, Writer(), do) == "b!"


def test_who_waits_is_answered_though_a_transaction_does_not_even_begin() -> None:
    store = StoreThatIsAway(OSError("disk I/O error"), before=True)
    assert commits(store, Writer(), lambda group: group.ask("a")) == "a!"


def test_a_commit_that_was_not_heard_of_is_asked_for_again() -> None:
    store = StoreThatIsAway(CommitUnheard(**UNAVAILABLE), StoreUnavailable(**UNAVAILABLE))
    writer = Writer()
    assert commits(store, writer, lambda group: group.ask("a")) == "a!"
    assert writer.batches == [["a"]] * 3
    assert writer.were_new == [True, False, False]
