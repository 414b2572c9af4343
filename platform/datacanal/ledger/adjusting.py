"""Correct what a call came to: by an event of its own, in the open period, with the meters following."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from datacanal.domain.access import Principal, owns_product
from datacanal.domain.errors import IdempotencyConflict, NotFound
from datacanal.domain.metering_errors import BadAmount
from datacanal.domain.usage import Dimension, EventKind, Outcome
from datacanal.ledger.book import Draft, append
from datacanal.ledger.models import EventRow
from datacanal.ledger.receipts import recorded, row_of
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.receipts import AdjustmentRequest, Receipt

MOST_ADJUSTED = 10**15
"""No correction is larger, so that sums stay within what databases count in."""
_FIELDS = (*(each.value for each in Dimension), "units")
_OF_THE_CALL = (
    "tenant", "account_id", "subscription_id", "key_id", "product", "version", "snapshot", "query_digest",
    "policy_digest", "tariff_id", "unit", "reserved_at",
)  # fmt: skip
_CORRECTED = (EventKind.USAGE, EventKind.ABORTED, EventKind.JOB)
OwnerOf = Callable[[str, str], str | None]
"""Who publishes the product of that tenant and name."""


class Adjustments:
    """`new_receipt` gives a new receipt's id."""

    def __init__(
        self, store: LedgerStore, owner_of: OwnerOf, new_receipt: Callable[[], str], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._owner_of = owner_of
        self._new_receipt = new_receipt
        self._now = now

    def adjust(self, caller: Principal, request: AdjustmentRequest, key: str) -> tuple[Receipt, bool]:
        """The adjustment, and whether it is new: once under one Idempotency-Key of the caller.

        Raises `NotFound` unless the caller publishes the product of the call or is an admin of its tenant, `BadAmount`
        for what cannot be given back or is too large, and `IdempotencyConflict`.
        """
        with self._store.writing() as connection:
            call = self._call(connection, caller, request.receipt)
            amounts = _amounts(request, call["unit"])
            name = f"adjust:{caller.name}:{key}"
            if known := _known(connection, call["account_id"], name):
                return recorded(_same(known, request, amounts, key)), False
            _check_amounts(amounts, _sums(connection, call))
            draft = self._draft(caller, request, call, amounts, name)
            append(connection, [draft], self._now())
            made = row_of(connection, EventRow, draft.id)
        assert made is not None  # noqa: S101  # it was written in this transaction
        return recorded(made), True

    def _call(self, connection: Connection, caller: Principal, receipt: str) -> RowMapping:
        call = row_of(connection, EventRow, receipt)
        if call is None or not self._may_adjust(caller, call):
            raise NotFound(what="receipt", name=receipt)
        if call["kind"] not in _CORRECTED:
            raise BadAmount(field="receipt", reason=f"{receipt} is a correction; correct {call['corrects']} once more")
        return call

    def _may_adjust(self, caller: Principal, call: RowMapping) -> bool:
        owner = self._owner_of(call["tenant"], call["product"]) if call["product"] else None
        return owns_product(caller, call["tenant"], owner or "")

    def _draft(
        self, caller: Principal, request: AdjustmentRequest, call: RowMapping, amounts: dict[str, int], name: str
    ) -> Draft:
        # Reserved when the call was: it counts against the quota of that time.
        what: dict[str, Any] = {**{field: call[field] for field in _OF_THE_CALL}, **amounts}
        return Draft(
            id=self._new_receipt(), kind=EventKind.ADJUST, outcome=Outcome.COMPLETE, principal=caller.name,
            request_id=name, corrects=request.receipt, reason=request.reason, **what,
        )  # fmt: skip


def _amounts(request: AdjustmentRequest, unit: str) -> dict[str, int]:
    """Every figure, with the units and what they count being the same."""
    amounts = {field: int(getattr(request, field)) for field in _FIELDS}
    units, counted = amounts["units"], amounts[unit]
    if units and counted and units != counted:
        raise BadAmount(field="units", reason=f"a unit is one of {unit}, which are {counted} and not {units}")
    amounts["units"] = amounts[unit] = units or counted
    if not any(amounts.values()):
        raise BadAmount(field="units", reason="all amounts are 0, so there is nothing to correct")
    for field, amount in amounts.items():
        if abs(amount) > MOST_ADJUSTED:
            raise BadAmount(field=field, reason=f"{amount} is beyond {MOST_ADJUSTED:,} in either direction")
    return amounts


def _known(connection: Connection, account: str, name: str) -> RowMapping | None:
    same = select(EventRow.__table__).where(EventRow.account_id == account, EventRow.request_id == name)
    return connection.execute(same).mappings().first()


def _same(known: RowMapping, request: AdjustmentRequest, amounts: dict[str, int], key: str) -> RowMapping:
    asked = {**amounts, "corrects": request.receipt, "reason": request.reason}
    if any(known[field] != value for field, value in asked.items()):
        raise IdempotencyConflict(key=key)
    return known


def _sums(connection: Connection, call: RowMapping) -> dict[str, int]:
    """What is left of each figure of the call after its corrections."""
    columns = [func.coalesce(func.sum(getattr(EventRow, field)), 0).label(field) for field in _FIELDS]
    corrections = select(*columns).where(EventRow.corrects == call["id"], EventRow.kind == EventKind.ADJUST)
    found = connection.execute(corrections.where(EventRow.account_id == call["account_id"])).mappings().one()
    return {field: call[field] + int(found[field]) for field in _FIELDS}


def _check_amounts(amounts: dict[str, int], left: dict[str, int]) -> None:
    for field, amount in amounts.items():
        if left[field] + amount < 0:
            reason = f"{-amount} cannot be given back: the call came to {left[field]} after what was corrected before"
            raise BadAmount(field=field, reason=reason)
        if left[field] + amount > MOST_ADJUSTED:
            raise BadAmount(field=field, reason=f"the call would come to more than {MOST_ADJUSTED:,}")
