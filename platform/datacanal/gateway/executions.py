"""Answers are produced in threads, inside limits: how many at once, how long each, and never for nobody.

An answer of at most 8 MiB is produced whole before its first byte leaves. A longer one is produced on as its client
takes it; its thread is free in between, so that slow clients cost no thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

from datacanal.domain.errors import ServiceBusy
from datacanal.domain.product_errors import QueryTooSlow
from datacanal.gateway.asked import Asked
from datacanal.gateway.slots import Slots

T = TypeVar("T")
MOST_WHOLE_BYTES = 8 * 2**20
_MOST_STREAMS = 64
_UNCLAIMED_S = 5.0
_INTERRUPT_AGAIN_S = 0.05


@dataclass(frozen=True)
class Usage:
    """What an answer came to; `bytes` are those of its rows before compression, `next` the following page."""

    rows: int
    bytes: int
    compute_ms: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a body; the amounts are those of the answer up to the end of this part."""

    body: bytes
    rows: int
    bytes: int
    compute_ms: int


class Production(Protocol):
    """An answer that is being produced. `interrupt` may come from another thread, at any time, and more than once."""

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece, to be taken once."""

    def told(self) -> tuple[int, int, str | None]:
        """Rows, bytes and next page up to the last piece that was taken; where `size_bytes` is known, of them all."""

    @property
    def size_bytes(self) -> int | None:
        """How large the body is in all, where that is known before it was taken."""

    def most_rows(self) -> int:
        """It has no more rows than this; between two pieces."""

    def interrupt(self) -> None:
        """Stop what is being computed."""

    def close(self) -> None:
        """Let go of everything."""


Produce = Callable[[Asked], Production]


@dataclass(frozen=True)
class Whole:
    """A finished answer."""

    body: bytes
    usage: Usage


class Executions:
    """Belongs to one event loop; `close` ends its threads."""

    def __init__(self, produce: Produce, *, threads: int, timeout_s: float) -> None:
        self._produce = produce
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(threads, "reading")
        self._slots = Slots(threads)
        self._streams = 0

    async def run(self, asked: Asked) -> Whole | Long:
        """The answer. Raises what reading raises, `ServiceBusy` and `QueryTooSlow`. Cancel to interrupt."""
        running = _Running(self._produce, asked)
        began = await self.limited(running.begin, running.interrupt)
        if isinstance(began, Whole):
            return began
        if self._streams >= _MOST_STREAMS:
            began.close()
            raise ServiceBusy(reason=f"{_MOST_STREAMS} long answers are being taken already")
        self._streams += 1
        return Long(self, began, self._stream_ended)

    async def limited(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Run the work in a thread as soon as one is free; interrupted after the deadline or when cancelled."""
        await self._slots.take()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)
        future.add_done_callback(lambda _: self._slots.give_back())
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            if future.done():  # it is the work's own
                raise
            _interrupt_until_done(future, interrupt)
            raise QueryTooSlow(limit_s=self._timeout_s) from None
        except asyncio.CancelledError:
            _interrupt_until_done(future, interrupt)
            raise

    def close(self) -> None:
        """Wait for the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _stream_ended(self) -> None:
        self._streams -= 1


class Long:
    """An answer whose beginning is there. Whoever gets it claims it, takes `pieces` and closes it."""

    def __init__(self, executions: Executions, began: _Began, ended: Callable[[], None]) -> None:
        self._executions = executions
        self._began = began
        self._ended = ended
        self._is_claimed = self._is_closed = False
        asyncio.get_running_loop().call_later(_UNCLAIMED_S, self._close_unclaimed)

    @property
    def size_bytes(self) -> int | None:
        """How large the body is, where it is known."""
        return self._began.production.size_bytes

    @property
    def usage(self) -> Usage:
        """What it came to: at its end, or at once where the size is known."""
        return self._began.usage()

    def claim(self) -> bool:
        """Whether it is the caller's; it is only one caller's."""
        claimed, self._is_claimed = not self._is_claimed and not self._is_closed, True
        return claimed

    @property
    def ready(self) -> Sequence[Piece]:
        """The pieces that are there already."""
        return tuple(self._began.head)

    async def most_rows(self) -> int:
        """It has no more rows than this."""
        production = self._began.production
        return await self._executions.limited(production.most_rows, production.interrupt)

    async def pieces(self) -> AsyncIterator[Piece]:
        """The body from its beginning."""
        while self._began.head:
            yield self._began.head.popleft()
        while piece := await self._executions.limited(self._began.more, self._began.production.interrupt):
            yield piece

    def close(self) -> None:
        """Let go of it; what is not produced yet never is."""
        if not self._is_closed:
            self._is_closed = True
            self._ended()
            self._began.close()

    def _close_unclaimed(self) -> None:
        if not self._is_claimed:
            self.close()


class _Began:
    """What is left of an answer after its head. `more` runs in threads, one call after the other."""

    def __init__(self, production: Production, head: Sequence[Piece], pieces: _Pieces) -> None:
        self.production = production
        self.head = deque(head)
        self._pieces = pieces

    def more(self) -> Piece | None:
        return next(self._pieces, None)

    def usage(self) -> Usage:
        rows, size, following = self.production.told()
        return Usage(rows, size, self._pieces.compute_ms, following)

    def close(self) -> None:
        self.production.close()


class _Pieces(Iterator[Piece]):
    """The pieces of a production with what each of them comes to."""

    def __init__(self, production: Production, compute_s: float) -> None:
        self._production = production
        self._bodies = (body for body in production.pieces() if body)
        self._compute_s = compute_s
        self._given_bytes = 0

    def __next__(self) -> Piece:
        began_at = perf_counter()
        try:
            body = next(self._bodies)
        finally:
            self._compute_s += perf_counter() - began_at
        self._given_bytes += len(body)
        return self._piece(body)

    @property
    def compute_ms(self) -> int:
        return round(self._compute_s * 1000)

    def _piece(self, body: bytes) -> Piece:
        """Of a body that is written before it is sent, a part holds its share of the rows."""
        rows, size, _ = self._production.told()
        if (whole := self._production.size_bytes) is not None:
            rows, size = rows * self._given_bytes // whole, self._given_bytes
        return Piece(body, rows, size, self.compute_ms)


class _Running:
    """One execution, which another thread may interrupt also before it has really begun."""

    def __init__(self, produce: Produce, asked: Asked) -> None:
        self._produce = produce
        self._asked = asked
        self._production: Production | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        self._is_interrupted = True
        if self._production is not None:
            self._production.interrupt()

    def begin(self) -> Whole | _Began:
        """Produce until the answer is whole or too long to be held."""
        began_at = perf_counter()
        production = self._production = self._produce(self._asked)
        try:
            pieces = _Pieces(production, perf_counter() - began_at)
            head = self._head(pieces)
            if sum(len(piece.body) for piece in head) > MOST_WHOLE_BYTES:
                return _Began(production, head, pieces)
            rows, size, following = production.told()
        except BaseException:
            production.close()
            raise
        production.close()
        return Whole(b"".join(piece.body for piece in head), Usage(rows, size, pieces.compute_ms, following))

    def _head(self, pieces: Iterator[Piece]) -> list[Piece]:
        head: list[Piece] = []
        size = 0
        for piece in pieces:
            if self._is_interrupted:
                raise asyncio.CancelledError
            head.append(piece)
            size += len(piece.body)
            if size > MOST_WHOLE_BYTES:
                break
        return head


def _interrupt_until_done(future: asyncio.Future[T], interrupt: Callable[[], None]) -> None:
    """An interrupt between two statements is lost, so it is repeated."""
    if future.done():
        if not future.cancelled() and future.exception() is None and isinstance(result := future.result(), _Began):
            result.close()
        return
    interrupt()
    asyncio.get_running_loop().call_later(_INTERRUPT_AGAIN_S, _interrupt_until_done, future, interrupt)
