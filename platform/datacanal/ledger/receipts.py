"""Receipts: events and reservations as their owners see them, with the way to their checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from datacanal.domain.access import Principal
from datacanal.domain.chain import BEGINNING, FIELDS, digest
from datacanal.domain.checkpoint import Checkpoint
from datacanal.domain.errors import NotFound
from datacanal.ledger.chain import stored
from datacanal.ledger.checkpoints import checkpoint_over, last_checkpoint
from datacanal.ledger.models import EventRow, HoldRow
from datacanal.ledger.owning import sees_account
from datacanal.ledger.paging import in_pages
from datacanal.ledger.store import LedgerStore
from datacanal.protocol.receipts import CheckpointView, Proof, Receipt

_GATEWAYS_OWN = {"gateway_id"}


def find_receipt(store: LedgerStore, caller: Principal, receipt: str, *, with_proof: bool) -> Receipt:
    """The receipt. Raises `NotFound` where it is not the caller's to see."""
    with store.reading() as connection:
        event = row_of(connection, EventRow, receipt)
        found = event or row_of(connection, HoldRow, receipt)
        if found is None or not sees_account(connection, caller, found["tenant"], found["account_id"]):
            raise NotFound(what="receipt", name=receipt[:64])
        return _recorded(connection, event, with_proof=with_proof) if event else _reserved(found)


def latest_checkpoint(store: LedgerStore) -> CheckpointView:
    """The newest checkpoint. Raises `NotFound`."""
    with store.reading() as connection:
        newest = last_checkpoint(connection)
    if newest is None:
        raise NotFound(what="checkpoint", name="latest")
    return view_of(newest)


def view_of(checkpoint: Checkpoint) -> CheckpointView:
    """The checkpoint as a document."""
    return CheckpointView(**asdict(checkpoint))


def row_of(connection: Connection, table: type[EventRow] | type[HoldRow], receipt: str) -> RowMapping | None:
    """The row of a receipt."""
    return connection.execute(select(table.__table__).where(table.id == receipt)).mappings().first()


def recorded(event: RowMapping) -> Receipt:
    """The receipt of an event that is in the book."""
    return Receipt(state="recorded", **event)


def _reserved(hold: RowMapping) -> Receipt:
    known: dict[str, Any] = {name: value for name, value in hold.items() if name not in _GATEWAYS_OWN}
    return Receipt(state="reserved", units=hold[hold["unit"]], **known)


def _recorded(connection: Connection, event: RowMapping, *, with_proof: bool) -> Receipt:
    checkpoint = checkpoint_over(connection, event["seq"])
    if checkpoint is None:
        return recorded(event)
    proof = _proof(connection, event["seq"], checkpoint.count) if with_proof else None
    return recorded(event).model_copy(update={"state": "sealed", "checkpoint": view_of(checkpoint), "proof": proof})


def _proof(connection: Connection, seq: int, count: int) -> Proof:
    before = connection.execute(select(EventRow.hash).where(EventRow.seq == seq - 1)).scalar()
    after = []
    for row in in_pages(connection, EventRow.seq, FIELDS[1:], after=seq, until=count):
        after.append(digest(stored(row)))
    return Proof(before=before or BEGINNING, after=after)
