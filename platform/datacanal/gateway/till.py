"""Calls are charged here: what was answered, what may be streamed, and who need not be computed for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from datacanal.domain.errors import DatacanalError, IdempotencyConflict
from datacanal.domain.metering_errors import QuotaExhausted, TooManyCalls
from datacanal.domain.usage import Amounts, Terms
from datacanal.gateway.asked import Asked
from datacanal.gateway.bills import Bill, bill_of
from datacanal.gateway.callers import Caller
from datacanal.gateway.calls import Call
from datacanal.gateway.executions import Long, Piece
from datacanal.gateway.reserving import Reservation
from datacanal.gateway.view import Product
from datacanal.ledger.charges import Charged, Left, Replay
from datacanal.ledger.meter import Meter

_REMEMBERED = 10_000
_AHEAD = Amounts(bytes=16 * 2**20, compute_ms=1000)


class Till:
    """Belongs to one event loop."""

    def __init__(self, meter: Meter, new_id: Callable[[str], str]) -> None:
        self._meter = meter
        self._new_id = new_id
        self._spent: OrderedDict[str, None] = OrderedDict()

    def bill(self, call: Call, product: Product, caller: Caller, terms: Terms) -> Bill:
        """The bill of a new call. Raises `BadRequest`."""
        return bill_of(self._new_id("rcp"), call, product, caller, terms)

    async def earlier(self, bill: Bill) -> Replay | None:
        """What a keyed call was answered from before, under its Idempotency-Key. Raises `RequestInProgress`.

        Raises `IdempotencyConflict` where that was another product.
        """
        replay = await self._meter.find(bill.terms.account, bill.request)
        if replay is not None and replay.product != bill.terms.product:
            raise conflict(bill)
        return replay

    async def check_left(self, terms: Terms) -> None:
        """Raise `QuotaExhausted` or `TooManyCalls` where it is known before that nothing can be charged.

        Only whose quota was used up when it was last looked at is looked at again; the charge has the last word.
        """
        if terms.subscription in self._spent:
            _check_left(self._noted(terms, await self._meter.left(terms)))

    async def left(self, terms: Terms) -> tuple[Left, ...]:
        """What is left, for who was refused; nothing while the book cannot be read."""
        with suppress(DatacanalError):
            return self._noted(terms, await self._meter.left(terms))
        return ()

    async def charge(self, bill: Bill, asked: Asked, amounts: Amounts, before: Replay | None) -> Charged | Replay:
        """Charge a whole answer. Raises what `Meter.charge` raises."""
        said = await self._meter.charge(bill.charge(asked, amounts, before))
        if isinstance(said, Charged):
            self._noted(bill.terms, said.left)
        return said

    async def reserve(self, bill: Bill, asked: Asked, long: Long, before: Replay | None) -> Reservation | Replay:
        """Reserve the rows of a long answer and the beginning of what else it comes to.

        Raises what `Meter.hold` raises: where not even the first piece fits.
        """
        paid = before.amounts if before else Amounts()
        rows = await long.most_rows()
        ready = long.ready
        wanted = (_amounts(rows, ready[-1]) + _AHEAD, _amounts(rows, ready[0]))
        try:
            said = await self._meter.hold(bill.charge(asked, wanted[0], before))
        except QuotaExhausted:
            said = await self._meter.hold(bill.charge(asked, wanted[1], before))
        if isinstance(said, Replay):
            return said
        self._noted(bill.terms, said.charged.left)
        return Reservation(said, paid)

    def _noted(self, terms: Terms, left: tuple[Left, ...]) -> tuple[Left, ...]:
        subscription = terms.subscription
        if subscription is not None:
            self._spent.pop(subscription, None)
            for each in left:
                if _is_spent(each):
                    self._spend(subscription)
        return left

    def _spend(self, subscription: str) -> None:
        self._spent[subscription] = None
        if len(self._spent) > _REMEMBERED:
            self._spent.popitem(last=False)


def conflict(bill: Bill) -> IdempotencyConflict:
    """The Idempotency-Key was used for another question."""
    return IdempotencyConflict(key=bill.request.removeprefix("key:"))


def _amounts(rows: int, piece: Piece) -> Amounts:
    return Amounts(1, rows, piece.bytes, piece.compute_ms)


def _is_spent(left: Left) -> bool:
    return left.remaining == 0 and not left.soft


def _check_left(left: tuple[Left, ...]) -> None:
    spent = [each for each in left if _is_spent(each)]
    if not spent:
        return
    first = spent[0]
    wait_s = max(1, first.reset_s)
    if first.name == "burst":
        raise TooManyCalls(limit=first.amount, window_s=first.window_s, retry_after_s=wait_s)
    words = f"{first.name}: 0 of {first.amount} are left"
    raise QuotaExhausted([each.name for each in spent], retry_after_s=wait_s, first=words)
