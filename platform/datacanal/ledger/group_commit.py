"""One transaction for all that ask while the last one is committed: a queue, a thread, and the event loop's futures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from datacanal.domain.errors import DatacanalError, ServiceBusy, StoreUnavailable
from datacanal.ledger.store import LedgerStore
from datacanal.ledger.turns import CommitUnheard

A = TypeVar("A")
B = TypeVar("B", contravariant=True)
_MOST = 256
_AGAIN_AFTER_S = (0.0, 0.5, 1.0, 2.0)
_log = structlog.get_logger()

Answer = Any
"""What an ask came to: its answer, or the error that is raised to whoever asked."""


@dataclass(slots=True)
class _Asked(Generic[A]):
    ask: A
    future: asyncio.Future[Any]
    unheard: Callable[[Any], None] | None


class Write(Protocol[B]):
    """Does the asks in one transaction, in order, and gives their answers. `are_new`: they were not tried before.

    The transaction is a `LedgerStore.turn`.
    """

    def __call__(self, connection: Connection, asks: Sequence[B], *, are_new: bool) -> list[Answer]: ...


class GroupCommit(Generic[A]):
    """What was asked for is written by a thread, until `close`."""

    def __init__(self, store: LedgerStore, write: Write[A]) -> None:
        self._store = store
        self._write = write
        self._queue: deque[_Asked[A]] = deque()
        self._some = threading.Event()
        self._is_waking = False
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def ask(self, ask: A, unheard: Callable[[Any], None] | None = None) -> Any:
        """The answer, after it is durable. `unheard` gets the answer if nobody waits for it any more by then."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue.append(_Asked(ask, future, unheard))
        if not self._is_waking:
            self._is_waking = True
            loop.call_soon(self._wake)  # not at once: others are about to ask in the same round of the loop
        return await future

    async def close(self) -> None:
        """Write what was asked for by now, and end."""
        self._closing = True
        self._some.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _wake(self) -> None:
        self._is_waking = False
        self._some.set()

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            size = self._one_batch() if self._queue else 0
            if self._closing and size == 0:
                return
            if self._closing or size == _MOST:
                self._some.set()  # there may be more

    def _one_batch(self) -> int:
        batch: list[_Asked[A]] = []
        try:
            answers = self._together(batch)
        except CommitUnheard:
            answers = self._again(batch)
        except StoreUnavailable as error:
            batch = batch or self._taken()
            answers = [error] * len(batch)
        except Exception:  # whatever one of them broke, the others are written
            batch = batch or self._taken()
            answers = self._one_by_one(batch)
        self._answer(batch, answers)
        return len(batch)

    def _together(self, batch: list[_Asked[A]]) -> list[Answer]:
        with self._store.turn() as connection:
            are_new = not batch
            if are_new:
                batch.extend(self._taken())  # not before: whoever asks while this waits for its turn comes along
            return self._write(connection, [each.ask for each in batch], are_new=are_new)

    def _again(self, batch: list[_Asked[A]]) -> list[Answer]:
        """It may stand in the book or not; an ask that does is answered by what stands there."""
        for pause_s in _AGAIN_AFTER_S:
            time.sleep(pause_s)
            try:
                return self._together(batch)
            except StoreUnavailable as error:
                unavailable = error
        return [unavailable] * len(batch)

    def _taken(self) -> list[_Asked[A]]:
        return [self._queue.popleft() for _ in range(min(len(self._queue), _MOST))]

    def _one_by_one(self, batch: Sequence[_Asked[A]]) -> list[Answer]:
        answers: list[Answer] = []
        for each in batch:
            away = answers and isinstance(answers[-1], StoreUnavailable)
            answers.append(answers[-1] if away else self._alone(each.ask))
        return answers

    def _alone(self, ask: A) -> Answer:
        try:
            with self._store.turn() as connection:
                return self._write(connection, [ask], are_new=False)[0]
        except DatacanalError as error:
            return error
        except Exception as error:
            _log.error("not_written", ask=type(ask).__name__, error=type(error).__name__)
            return ServiceBusy(reason="what is used cannot be written down")

    def _answer(self, batch: Sequence[_Asked[A]], answers: Sequence[Answer]) -> None:
        assert self._loop is not None  # noqa: S101  # start() came before any ask
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_tell, batch, answers)


def _tell(batch: Sequence[_Asked[Any]], answers: Sequence[Answer]) -> None:
    for asked, answer in zip(batch, answers, strict=True):
        if asked.future.done():
            if asked.unheard is not None and not isinstance(answer, BaseException):
                asked.unheard(answer)
        elif isinstance(answer, BaseException):
            asked.future.set_exception(answer)
        else:
            asked.future.set_result(answer)
