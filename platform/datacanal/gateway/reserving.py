"""What a stream has reserved: never less than what is sent of it, and settled with what was."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from datacanal.domain.metering_errors import HoldLost, QuotaExhausted
from datacanal.domain.usage import Amounts, Outcome
from datacanal.gateway.bills import beyond
from datacanal.gateway.executions import Piece
from datacanal.ledger.charges import Charged
from datacanal.ledger.meter import Hold

_LEAST_STEP = Amounts(bytes=16 * 2**20, compute_ms=1000)
_MOST_STEP = Amounts(bytes=256 * 2**20, compute_ms=60_000)
_NOTHING = Amounts()
_log = structlog.get_logger()


class Covering(Protocol):
    """What pays for a stream."""

    async def cover(self, piece: Piece) -> None:
        """Before the piece is sent: reserve what it takes. Raises `QuotaExhausted` and `HoldLost`."""

    def sent(self, piece: Piece) -> None:
        """The piece was sent, all of it."""

    async def complete(self, last: Piece) -> None:
        """Settle before the last piece is sent. Raises `HoldLost`: then it must not be."""

    async def end(self) -> None:
        """Settle what was sent, unless it was settled."""


class Reservation:
    """Over a hold. `paid` is what an earlier part of the same answer came to, which is not charged again."""

    def __init__(self, hold: Hold, paid: Amounts) -> None:
        self._hold = hold
        self._paid = paid
        self._held = hold.charged.amounts
        self._sent = _NOTHING
        self._is_settled = False

    @property
    def charged(self) -> Charged:
        """What was reserved at first."""
        return self._hold.charged

    async def cover(self, piece: Piece) -> None:
        lacking = beyond(self._due(piece), self._held)
        if lacking == _NOTHING:
            return
        try:
            await self._take(_ahead(lacking, self._held))
        except QuotaExhausted:
            await self._take(lacking)

    def sent(self, piece: Piece) -> None:
        self._sent = self._due(piece)

    async def complete(self, last: Piece) -> None:
        self.sent(last)
        await self._settle(Outcome.COMPLETE)

    async def end(self) -> None:
        if self._is_settled:
            return
        try:
            await self._settle(Outcome.PARTIAL if self._sent != _NOTHING else Outcome.ABORTED)
        except HoldLost:  # it was given up: the stream is broken off already, and nothing was charged
            _log.warning("reservation_lost", receipt=self.charged.receipt)

    async def _take(self, more: Amounts) -> None:
        await asyncio.shield(self._hold.take(more))
        self._held += more

    async def _settle(self, outcome: Outcome) -> None:
        """Shielded: a client that leaves just now changes nothing."""
        self._is_settled = True
        await asyncio.shield(self._hold.settle(self._sent, outcome))

    def _due(self, piece: Piece) -> Amounts:
        return beyond(Amounts(1, piece.rows, piece.bytes, piece.compute_ms), self._paid)


class Unmetered:
    """A stream that costs nothing: a sample, or an answer that was paid before."""

    async def cover(self, piece: Piece) -> None: ...

    def sent(self, piece: Piece) -> None: ...

    async def complete(self, last: Piece) -> None: ...

    async def end(self) -> None: ...


def _ahead(lacking: Amounts, held: Amounts) -> Amounts:
    """As much again as is held, within bounds, so that long streams ask seldom and short ones keep little."""
    return Amounts(
        lacking.calls,
        lacking.rows,
        lacking.bytes and lacking.bytes + _step(held.bytes, _LEAST_STEP.bytes, _MOST_STEP.bytes),
        lacking.compute_ms
        and lacking.compute_ms + _step(held.compute_ms, _LEAST_STEP.compute_ms, _MOST_STEP.compute_ms),
    )


def _step(held: int, least: int, most: int) -> int:
    return min(most, max(least, held))
