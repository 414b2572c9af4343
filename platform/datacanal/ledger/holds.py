"""Reservations: what is held for an answer that is on its way, as rows and while a transaction works on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, update

from datacanal.domain.usage import Amounts, Dimension, EventKind, Outcome
from datacanal.ledger.book import Draft, amounts_of
from datacanal.ledger.models import HoldRow
from datacanal.ledger.prepared import Lookup, Write, write_of
from datacanal.ledger.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Held:
    """A hold of a gateway; `draft` is the event that it would be if all of it were sent."""

    gateway: str
    draft: Draft

    @property
    def amounts(self) -> Amounts:
        """What is reserved."""
        return amounts_of(self.draft)

    def with_more(self, more: Amounts) -> Held:
        """The hold with so much more of everything."""
        return replace(self, draft=with_amounts(self.draft, self.amounts + more))

    def event(self, actual: Amounts, outcome: Outcome) -> Draft:
        """The event that it becomes."""
        kind = EventKind.ABORTED if outcome is Outcome.ABORTED else EventKind.USAGE
        return with_amounts(self.draft, actual)._replace(kind=kind.value, outcome=outcome.value)


def with_amounts(draft: Draft, amounts: Amounts) -> Draft:
    """The draft with these amounts and the units that they are."""
    return draft._replace(
        calls=amounts.calls,
        rows=amounts.rows,
        bytes=amounts.bytes,
        compute_ms=amounts.compute_ms,
        units=amounts.of(Dimension(draft.unit)),
    )


class Holds:
    """The holds by receipt."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shelf: Shelf[str, Held] = Shelf(self._read)
        self._new: dict[str, Held] = {}
        self._changed: dict[str, Held] = {}
        self._gone: set[str] = set()

    def fetch(self, receipts: Collection[str]) -> None:
        """Read at once what `get` will be asked for."""
        self._shelf.fetch(receipts)

    def get(self, receipt: str) -> Held | None:
        """The hold, None where there is none any more."""
        return self._shelf.get(receipt)

    def of_gateway(self, gateway: str) -> list[Held]:
        """All that a gateway holds, those of the transaction so far included."""
        self.write()
        rows = _OF_GATEWAY.rows(self._connection, [(gateway,)])
        return [_held(row) for row in rows]

    def add(self, held: Held) -> None:
        """A new one."""
        self._shelf.put(held.draft.id, held)
        self._new[held.draft.id] = held

    def change(self, held: Held) -> None:
        """More is reserved."""
        self._shelf.put(held.draft.id, held)
        where = self._new if held.draft.id in self._new else self._changed
        where[held.draft.id] = held

    def remove(self, held: Held) -> None:
        """It is settled or given up."""
        receipt = held.draft.id
        self._shelf.put(receipt, None)
        self._changed.pop(receipt, None)
        if self._new.pop(receipt, None) is None:
            self._gone.add(receipt)

    def write(self) -> None:
        """Write what is new, changed or gone."""
        _GONE.run(self._connection, [(receipt,) for receipt in self._gone])
        _NEW.run(self._connection, [_row(held) for held in self._new.values()])
        _CHANGED.run(self._connection, [(key, *_amounts(held)) for key, held in self._changed.items()])
        self._gone.clear()
        self._new.clear()
        self._changed.clear()

    def _read(self, receipts: Collection[str]) -> Iterator[tuple[str, Held]]:
        for row in _BY_RECEIPT.rows(self._connection, [(receipt,) for receipt in receipts]):
            held = _held(row)
            yield held.draft.id, held


_OF_DRAFT = (
    "id", "tenant", "principal", "account_id", "request_id", "reserved_at", "unit", "subscription_id", "key_id",
    "product", "version", "snapshot", "query_digest", "policy_digest", "tariff_id", "calls", "rows", "bytes",
    "compute_ms", "corrects",
)  # fmt: skip
_COLUMNS = [HoldRow.gateway_id, *(getattr(HoldRow, name) for name in _OF_DRAFT)]
_FOUR = ("calls", "rows", "bytes", "compute_ms")


def _held(row: tuple[Any, ...]) -> Held:
    draft = Draft(
        kind=EventKind.USAGE.value, outcome=Outcome.COMPLETE.value, **dict(zip(_OF_DRAFT, row[1:], strict=True))
    )
    return Held(row[0], draft._replace(units=getattr(draft, draft.unit)))


def _row(held: Held) -> tuple[Any, ...]:
    return (held.gateway, *(getattr(held.draft, name) for name in _OF_DRAFT))


def _amounts(held: Held) -> tuple[int, ...]:
    return tuple(getattr(held.draft, name) for name in _FOUR)


_BY_RECEIPT = Lookup(_COLUMNS, [HoldRow.id])
_OF_GATEWAY = Lookup(_COLUMNS, [HoldRow.gateway_id])
_NEW = write_of(insert(HoldRow), ("gateway_id", *_OF_DRAFT))
_CHANGED = Write(
    update(HoldRow).where(HoldRow.id == bindparam("its_id")).values({name: bindparam(name) for name in _FOUR}),
    ("its_id", *_FOUR),
)
_GONE = Write(delete(HoldRow).where(HoldRow.id == bindparam("its_id")), ("its_id",))
