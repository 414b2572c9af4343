"""The calls that were made under a request id: what was answered, what was paid, and whether one is under way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from datacanal.domain.errors import IdempotencyConflict, NotFound
from datacanal.domain.usage import Amounts, Outcome
from datacanal.ledger.book import Draft, amounts_of
from datacanal.ledger.charges import Charge, Replay
from datacanal.ledger.models import EventRow, HoldRow
from datacanal.ledger.prepared import Lookup

Request = tuple[str, str]
"""An account, and the id of one of its requests."""


@dataclass(frozen=True, slots=True)
class Known:
    """All events under one request id, the first call's and those that completed its answer.

    `first` and `receipt` are the first and the last event's ids, `number` is how many there are.
    """

    first: str
    receipt: str
    number: int
    product: str
    version: str
    snapshot: str
    query: str
    amounts: Amounts
    units: int
    is_complete: bool

    def replay(self) -> Replay:
        """What a repeated call is answered from."""
        return Replay(
            self.receipt,
            self.product,
            self.version,
            self.snapshot,
            self.amounts,
            self.units,
            self.is_complete,
            self.query,
        )

    def and_then(self, later: Known) -> Known:
        """With the event that follows."""
        return Known(
            self.first,
            later.receipt,
            self.number + 1,
            self.product,
            self.version,
            self.snapshot,
            self.query,
            self.amounts + later.amounts,
            self.units + later.units,
            later.is_complete,
        )


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A hold under a request id."""

    receipt: str
    product: str
    query: str


def known_of(draft: Draft) -> Known:
    """What is known by an event that is being written."""
    return _known(
        draft.id,
        draft.product,
        draft.version,
        draft.snapshot,
        draft.query_digest,
        draft.outcome,
        amounts_of(draft),
        draft.units,
    )


def request_after(known: Known | None, request: str) -> str:
    """The id of the next event under a request id: its own, then `2#` and so on before it.

    Before it, so that no client's Idempotency-Key can be the same.
    """
    return request if known is None else f"{known.number + 1}#{request}"


def check_same_query(product: str, query: str, charge: Charge) -> None:
    """Raises `IdempotencyConflict` where the call is another than the one of that product and query."""
    if (product, query) != (charge.terms.product, charge.query):
        raise IdempotencyConflict(key=charge.request.removeprefix("key:"))


def check_can_complete(known: Known | None, charge: Charge) -> None:
    """Raises `NotFound` where the call completes one that the book does not know."""
    if known is None and charge.completes is not None:
        raise NotFound(what="receipt", name=charge.completes)


def read_known(connection: Connection, requests: Collection[Request]) -> Iterator[tuple[Request, Known]]:
    """What the book knows of the request ids."""
    found = {(row[0], row[1]): _known(*_call(row)) for row in _EVENTS.rows(connection, requests)}
    broken = {known.first: request for request, known in found.items() if not known.is_complete}
    later = {(row[0], row[1]): row for row in _COMPLETIONS.rows(connection, [(first,) for first in broken])}
    for account, request in broken.values():
        known = found[(account, request)]
        while (row := later.get((account, request_after(known, request)))) is not None:
            known = known.and_then(_known(*_call(row)))
        found[(account, request)] = known
    yield from found.items()


def read_under_way(connection: Connection, requests: Collection[Request]) -> Iterator[tuple[Request, UnderWay]]:
    """The holds under the ids, each as `request_after` gives it."""
    for account, request, receipt, product, query in _HOLDS.rows(connection, requests):
        yield (account, request), UnderWay(receipt, product, query)


def _call(row: tuple[Any, ...]) -> tuple[Any, ...]:
    _account, _request, receipt, product, version, snapshot, query, outcome, units, *amounts = row
    return receipt, product, version, snapshot, query, outcome, Amounts(*amounts), units


def _known(
    receipt: str,
    product: str | None,
    version: str | None,
    snapshot: str | None,
    query: str | None,
    outcome: str,
    amounts: Amounts,
    units: int,
) -> Known:
    complete = outcome == Outcome.COMPLETE
    return Known(
        receipt, receipt, 1, product or "", version or "", snapshot or "", query or "", amounts, units, complete
    )


_COLUMNS = [
    EventRow.account_id,
    EventRow.request_id,
    EventRow.id,
    EventRow.product,
    EventRow.version,
    EventRow.snapshot,
    EventRow.query_digest,
    EventRow.outcome,
    EventRow.units,
    EventRow.calls,
    EventRow.rows,
    EventRow.bytes,
    EventRow.compute_ms,
]
_EVENTS = Lookup(_COLUMNS, [EventRow.account_id, EventRow.request_id])
_COMPLETIONS = Lookup(_COLUMNS, [EventRow.corrects])
_HOLDS = Lookup(
    [HoldRow.account_id, HoldRow.request_id, HoldRow.id, HoldRow.product, HoldRow.query_digest],
    [HoldRow.account_id, HoldRow.request_id],
)
