"""Checkpoints as the book keeps them."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnClause, Connection, Row, Select, column, insert, select

from datacanal.domain.checkpoint import Checkpoint
from datacanal.ledger.chain import stored_instant
from datacanal.ledger.models import CheckpointRow

WHOSE = ("system", "system")
"""Tenant and principal of every checkpoint."""
_NAMES = [field.name for field in fields(Checkpoint)]
_AT = _NAMES.index("at")
# By name alone, so that the database's own values come, not what its types make of them.
_STORED: list[ColumnClause[Any]] = [column(name) for name in _NAMES]


def add_checkpoint(connection: Connection, checkpoint: Checkpoint) -> None:
    """Write it, inside a writing transaction."""
    row = {**asdict(checkpoint), "at": datetime.fromisoformat(checkpoint.at)}
    connection.execute(insert(CheckpointRow).values(**row, tenant=WHOSE[0], principal=WHOSE[1]))


def last_checkpoint(connection: Connection) -> Checkpoint | None:
    """The newest one."""
    newest = _all().order_by(CheckpointRow.number.desc()).limit(1)
    row = connection.execute(newest).first()
    return _read(row) if row else None


def checkpoint_over(connection: Connection, seq: int) -> Checkpoint | None:
    """The first one that covers the event of that number."""
    covering = _all().where(CheckpointRow.count >= seq).order_by(CheckpointRow.number).limit(1)
    row = connection.execute(covering).first()
    return _read(row) if row else None


def _all() -> Select[Any]:
    return select(*_STORED).select_from(CheckpointRow)


def _read(row: Row[Any]) -> Checkpoint:
    values = list(row)
    values[_AT] = stored_instant(values[_AT])
    return Checkpoint(*values)
