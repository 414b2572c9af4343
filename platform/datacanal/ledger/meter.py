"""The meter of a gateway: every call is charged once, held to what was bought, or refused; durable when it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection

from datacanal.domain.errors import DatacanalError, ServiceBusy, StoreUnavailable
from datacanal.domain.metering_errors import HoldLost
from datacanal.domain.usage import Amounts, Outcome, Terms
from datacanal.ledger.asks import Ask, ChargeNow, HoldNow, Settle, Take
from datacanal.ledger.charges import Charge, Charged, Left, Replay
from datacanal.ledger.group_commit import Answer, GroupCommit
from datacanal.ledger.kept import Kept
from datacanal.ledger.known import read_known
from datacanal.ledger.lives import Beat, Leave, Looked, Watch
from datacanal.ledger.page import Page
from datacanal.ledger.performing import perform
from datacanal.ledger.store import LedgerStore

_BEAT_S = 1.0
_log = structlog.get_logger()


class Meter:
    """`start` before the first call, `close` after the last; `gateway_id` is nobody else's while it lives."""

    def __init__(self, store: LedgerStore, gateway_id: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._gateway = gateway_id
        self._now = now
        self._commits: GroupCommit[Ask] = GroupCommit(store, self._write)
        self._kept = Kept()
        self._watch = Watch()
        self._beating: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[Charged]] = set()
        self._unsettled: list[Settle] = []

    async def start(self) -> None:
        """Give up what an earlier process of this id held, and say from now on that this one lives."""
        self._commits.start()
        await self._commits.ask(Leave(self._gateway))
        await self.beat()
        self._beating = asyncio.create_task(self._beat_until_closed())

    async def close(self) -> None:
        """Settle nothing more: what is still held is given up."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating, *self._ending})
            await self._leave()
        await self._commits.close()

    async def find(self, account: str, request: str) -> Replay | None:
        """What was charged under a request id, None if nothing was; a call that is under way is not seen."""
        return await asyncio.to_thread(self._find, account, request)

    async def charge(self, charge: Charge) -> Charged | Replay:
        """Charge an answer that is there whole: nothing of it may be sent before.

        Raises `QuotaExhausted`, `TooManyCalls`, `IdempotencyConflict`, `RequestInProgress`, `KeyWrong`, `KeyRevoked`,
        `KeyExpired`, `SubscriptionNotActive`, `BadAmount`; then nothing is charged.
        """
        charged: Charged | Replay = await self._commits.ask(ChargeNow(charge))
        return charged

    async def hold(self, charge: Charge) -> Hold | Replay:
        """Reserve for an answer that is sent while it is made. Raises as `charge` does."""
        held = await self._commits.ask(HoldNow(charge, self._gateway), lambda answer: self._abandon(charge, answer))
        return held if isinstance(held, Replay) else self._hold(charge, held)

    async def left(self, terms: Terms) -> tuple[Left, ...]:
        """What is left of the burst and of the quotas."""
        return await asyncio.to_thread(self._left, terms)

    async def beat(self) -> None:
        """Say that this gateway lives, and give up the holds of those that do not. Done every second."""
        looked: Looked = await self._commits.ask(Beat(self._gateway, self._watch))
        self._watch = looked.watch
        for gateway, holds in looked.given_up.items():
            _log.warning("gateway_given_up", gateway=gateway, holds=holds)
        await self._settle_late()

    async def _settle_late(self) -> None:
        """What could not be settled because the database was away."""
        while self._unsettled:
            try:
                await self._commits.ask(self._unsettled[0])
            except HoldLost as lost:
                _log.warning("hold_lost", **lost.data)
            self._unsettled.pop(0)

    async def _leave(self) -> None:
        try:
            await self._settle_late()
            await self._commits.ask(Leave(self._gateway))
        except DatacanalError as error:  # the other gateways will find that this one is gone
            _log.error("leave_not_written", error=error.code)

    def _hold(self, charge: Charge, charged: Charged) -> Hold:
        return Hold(self._commits, charge, charged, self._unsettled)

    async def _beat_until_closed(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                await self.beat()
            except Exception as error:  # whatever it is, the next one may succeed
                _log.error("beat_not_written", error=type(error).__name__)

    def _abandon(self, charge: Charge, answer: Charged | Replay) -> None:
        """Whoever asked for the hold left before it was there."""
        if isinstance(answer, Charged):
            ending = asyncio.create_task(self._hold(charge, answer).settle(Amounts(), Outcome.ABORTED))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _write(self, connection: Connection, asks: Sequence[Ask], *, are_new: bool) -> list[Answer]:
        return perform(connection, asks, self._now(), are_new=are_new, kept=self._kept)

    def _find(self, account: str, request: str) -> Replay | None:
        with self._store.reading() as connection:
            return next((known.replay() for _, known in read_known(connection, [(account, request)])), None)

    def _left(self, terms: Terms) -> tuple[Left, ...]:
        with self._store.reading() as connection:
            page = Page(connection, self._now())
            return page.left(terms, page.counted(terms, page.now))


class Hold:
    """A reservation. `charged` is what is reserved by now."""

    def __init__(self, commits: GroupCommit[Ask], charge: Charge, charged: Charged, unsettled: list[Settle]) -> None:
        self._commits = commits
        self._unsettled = unsettled
        self._charge = charge
        self._reserved_at = charged.at
        self.charged = charged

    async def take(self, more: Amounts) -> None:
        """Reserve more: nothing beyond what is reserved may be sent. Raises `QuotaExhausted`, `HoldLost`."""
        self.charged = await self._commits.ask(Take(self._charge, self._reserved_at, more))

    async def settle(self, actual: Amounts, outcome: Outcome) -> Charged:
        """End it with what was sent, at most what is reserved; `aborted` costs nothing. Raises `HoldLost`.

        Where the database is away this raises `StoreUnavailable`, and the meter settles it when that is back.
        """
        settle = Settle(self._charge, self._reserved_at, actual, outcome)
        try:
            charged: Charged = await self._commits.ask(settle)
        except (StoreUnavailable, ServiceBusy):
            self._unsettled.append(settle)
            raise
        return charged
