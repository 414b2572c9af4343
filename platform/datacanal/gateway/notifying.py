"""Tell accounts by their webhooks what the book has noted for them: at least once, each at its own pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import datacanal
from datacanal.domain.errors import StoreUnavailable
from datacanal.gateway.posting import NotSent, Poster
from datacanal.gateway.webhook_signing import WebhookSecrets, signed
from datacanal.ledger.notices import Notice, is_any_due, mark_delivered, put_off, take_due
from datacanal.ledger.store import LedgerStore
from datacanal.serving.handlers import failure_fields

AT_ONCE = 8
"""Deliveries; one receiver gets one at a time."""
_LOOK_S = 1.0
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 3600.0
_jitter = random.Random()  # noqa: S311  # it spreads load; nothing is guessed from it
_log = structlog.get_logger()


def pause_s(attempts: int, draw: float) -> float:
    """How long a receiver is left alone after so many attempts: doubled each time, and spread by `draw` (0 to 1)."""
    whole: float = min(_FIRST_PAUSE_S * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE_S)
    return whole * (0.5 + draw / 2)


class Notifier:
    """Any number of gateways may run one. `draw` gives a number from 0 to 1."""

    def __init__(
        self,
        store: LedgerStore,
        secrets: WebhookSecrets,
        poster: Poster,
        now: Callable[[], datetime],
        draw: Callable[[], float] = _jitter.random,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._poster = poster
        self._now = now
        self._draw = draw
        self._deliveries: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Deliver for ever; when cancelled, what is under way is given up and is due again later."""
        try:
            while True:
                await self._turn()
                await self._next_look()
        finally:
            for task in self._deliveries.values():
                task.cancel()
            await asyncio.gather(*self._deliveries.values(), return_exceptions=True)

    async def _turn(self) -> None:
        """Take what is due and begin to deliver it."""
        self._forget_ended()
        try:
            taken = await asyncio.to_thread(self._take, AT_ONCE - len(self._deliveries), list(self._deliveries))
        except (SQLAlchemyError, StoreUnavailable, OSError) as error:
            _log.warning("notices_not_read", failure=type(error).__name__)
            return
        for notice in taken:
            self._deliveries[notice.account] = asyncio.create_task(self._deliver(notice))

    def _forget_ended(self) -> None:
        """What broke in a way that nobody foresaw is due again when its claim ends."""
        for account, task in list(self._deliveries.items()):
            if task.done():
                del self._deliveries[account]
                if error := task.exception():
                    _log.error("delivery_broke", **failure_fields(error))

    async def _next_look(self) -> None:
        """After a second, or as soon as a delivery ended."""
        if self._deliveries:
            await asyncio.wait(self._deliveries.values(), timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(_LOOK_S)

    def _take(self, most: int, busy: list[str]) -> list[Notice]:
        if most == 0:
            return []
        with self._store.reading() as connection:
            if not is_any_due(connection, self._now(), busy):
                return []
        with self._store.writing() as connection:
            return take_due(connection, self._now(), most, busy)

    async def _deliver(self, notice: Notice) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Datacanal/{datacanal.__version__}",
            **signed(self._secrets.bytes_of(notice.account, notice.turn), notice.id, self._now(), notice.body),
        }
        try:
            status = await self._poster.post(notice.url, headers, notice.body)
        except NotSent as problem:
            return await self._put_off(notice, str(problem))
        if 200 <= status < 300:
            _log.info("notice_delivered", notice=notice.id, account=notice.account, attempts=notice.attempts)
            return await self._write(lambda connection: mark_delivered(connection, notice, self._now()))
        return await self._put_off(notice, f"it was answered with the status {status}")

    async def _put_off(self, notice: Notice, problem: str) -> None:
        _log.info("notice_not_delivered", notice=notice.id, account=notice.account, attempts=notice.attempts)
        until = self._now() + timedelta(seconds=pause_s(notice.attempts, self._draw()))
        await self._write(lambda connection: put_off(connection, notice, problem, until))

    async def _write(self, work: Callable[[Connection], None]) -> None:
        """What cannot be written now is as if the delivery had not been: it is due again when the claim ends."""
        try:
            await asyncio.to_thread(self._write_now, work)
        except (SQLAlchemyError, StoreUnavailable, OSError) as error:
            _log.warning("notice_not_marked", failure=type(error).__name__)

    def _write_now(self, work: Callable[[Connection], None]) -> None:
        with self._store.writing() as connection:
            work(connection)
