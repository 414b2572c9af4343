"""Answer what was asked: from memory or executed, whole or as a stream, and charged before it leaves."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from datacanal.domain.usage import Amounts
from datacanal.gateway.asked import Asked
from datacanal.gateway.bills import Bill
from datacanal.gateway.calls import Call, Headers, matches, not_modified
from datacanal.gateway.executions import Long, Usage
from datacanal.gateway.heads import etag_of, head_of, version_fields
from datacanal.gateway.leaving import ClientLeft, unless_left
from datacanal.gateway.noting import Noted
from datacanal.gateway.pages import Page, Pages
from datacanal.gateway.reserving import Covering, Unmetered
from datacanal.gateway.sending import send_long, send_whole
from datacanal.gateway.till import Till
from datacanal.gateway.usage_fields import (
    charged_fields,
    free_fields,
    known_fields,
    replayed_fields,
    replayed_stream_fields,
    reserved_fields,
)
from datacanal.ledger.charges import Replay
from datacanal.serving.handlers import failure_fields

_log = structlog.get_logger()


@dataclass(slots=True)
class Order:
    """What is to be answered and how it is to be sent; free without a `bill`.

    `before` is what the call was answered from already, under its Idempotency-Key.
    """

    call: Call
    asked: Asked
    encoding: str
    noted: Noted
    bill: Bill | None = None
    before: Replay | None = None


class Answers:
    """Belongs to one event loop."""

    def __init__(self, pages: Pages, till: Till) -> None:
        self._pages = pages
        self._till = till

    async def answer(self, order: Order) -> Replay | None:
        """Answer; gives what the call was answered from before where that turns out only when it is charged.

        Raises what finding, reading and charging raise, as long as nothing was sent.
        """
        call, asked, encoding = order.call, order.asked, order.encoding
        given = call.header(b"if-none-match")
        if given is not None and matches(etag := etag_of(asked, encoding), given):
            order.noted.write(304, hit=True)
            await call.answer(not_modified(etag, version_fields(asked.release)))
        elif call.is_head:
            order.noted.write(200)
            await call.start(200, head_of(asked, encoding))
            await call.send({"type": "http.response.body"})
        elif (held := self._pages.held(asked, encoding)) is not None:
            return await self._whole(order, held, hit=True)
        else:
            return await self._produced(order)
        return None

    async def _produced(self, order: Order) -> Replay | None:
        if order.bill is not None and not _is_paid(order.before):
            await self._till.check_left(order.bill.terms)
        made = await unless_left(order.call.receive, self._pages.produced(order.asked))
        if isinstance(made, Long):
            return await self._long(order, made)
        page = self._pages.keep(order.asked, made, "identity")
        if order.encoding != "identity":
            page = self._pages.keep(order.asked, made, order.encoding)
        return await self._whole(order, page, hit=False)

    async def _whole(self, order: Order, page: Page, *, hit: bool) -> Replay | None:
        fields = await self._charged(order, page.usage, hit=hit)
        if isinstance(fields, Replay):
            return fields
        order.noted.write(200, page.usage, hit=hit)
        await send_whole(order.call, [*page.head, *fields], page.body)
        return None

    async def _charged(self, order: Order, usage: Usage, *, hit: bool) -> Headers | Replay:
        """A page from memory took no time to compute."""
        bill, before = order.bill, order.before
        if bill is None:
            return free_fields(usage)
        if before is not None and before.is_complete:
            order.noted.receipt = before.receipt
            return replayed_fields(before)
        amounts = Amounts(1, usage.rows, usage.bytes, 0 if hit else usage.compute_ms)
        said = await self._till.charge(bill, order.asked, amounts, before)
        if isinstance(said, Replay):
            return said
        order.noted.receipt = said.receipt
        return charged_fields(said)

    async def _long(self, order: Order, made: Long) -> Replay | None:
        try:
            reserved = await self._reserved(order, made)
            if isinstance(reserved, Replay):
                return reserved
            paying, fields = reserved
            await _stream(order, made, [*head_of(order.asked, order.encoding), *fields], paying)
        finally:
            made.close()
        return None

    async def _reserved(self, order: Order, made: Long) -> tuple[Covering, Headers] | Replay:
        known = made.usage if made.size_bytes is not None else None
        if order.bill is None:
            return Unmetered(), known_fields(known)
        if order.before is not None and order.before.is_complete:
            order.noted.receipt = order.before.receipt
            return Unmetered(), replayed_stream_fields(order.before, known)
        reservation = await self._till.reserve(order.bill, order.asked, made, order.before)
        if isinstance(reservation, Replay):
            return reservation
        order.noted.receipt = reservation.charged.receipt
        return reservation, reserved_fields(reservation.charged, known)


async def _stream(order: Order, made: Long, head: Headers, paying: Covering) -> None:
    """What was sent is settled however it ends."""
    call, noted = order.call, order.noted
    try:
        await unless_left(call.receive, send_long(call, head, made, order.encoding, order.asked.format, paying))
        noted.write(200, made.usage)
    except ClientLeft:
        raise
    except Exception as error:  # the head has left: only a connection that breaks can say it
        _log.warning("answer_broken_off", request=call.id, **failure_fields(error))
        noted.write(599)
    finally:
        await paying.end()


def _is_paid(before: Replay | None) -> bool:
    return before is not None and before.is_complete
