"""Functions and publications that somebody asked a steward of this site to approve, and what the stewards said.

The agent writes what is asked, the command line at the site what is decided, each beside the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from datacanal.domain.errors import NotFound
from datacanal.site.store.models import Base
from datacanal.storage.tables import Owned, one_of

State = Literal["requested", "granted", "revoked"]
WAITING_AT_MOST = 100
"""Requests of one user that nobody has decided about; older ones are forgotten, and come again when they are asked."""


class ApprovalRow(Owned, Base):
    """A function in an image, or a statement for a product: `product` is empty for the one, `image` for the other.

    `datasets` were asked for so far, `granted` are those that the last grant named. Whose row it is says who asked
    first.
    """

    __tablename__ = "approvals"
    __table_args__ = (one_of("state", ("requested", "granted", "revoked")),)

    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    image: Mapped[str] = mapped_column(String(128), primary_key=True)
    product: Mapped[str] = mapped_column(String(127), primary_key=True)
    name: Mapped[str]
    source: Mapped[str]
    pickle: Mapped[str]
    job: Mapped[str] = mapped_column(String(64))
    purpose: Mapped[str | None]
    datasets: Mapped[str]
    asked_ms: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    granted: Mapped[str]
    decided_by: Mapped[str | None]
    decided_ms: Mapped[int | None]
    expires_ms: Mapped[int | None]


@dataclass(frozen=True)
class Approval:
    """A function in an image. `code` is the digest of its pickle; `source` is what its sender says that it is.

    Or, where `product` is named, a statement (or function) whose result is published as it: `code` is then the digest
    of `source` with all that it is asked with. `datasets` are those asked for, `granted` those that the last grant
    named; it holds until `expires_ms`.
    """

    code: str
    image: str
    name: str
    source: str
    pickle: str
    job: str
    tenant: str
    principal: str
    purpose: str | None
    datasets: frozenset[str]
    asked_ms: int
    product: str = ""
    state: State = "requested"
    granted: frozenset[str] = frozenset()
    decided_by: str | None = None
    decided_ms: int | None = None
    expires_ms: int | None = None

    def allows(self, datasets: frozenset[str], now_ms: int) -> bool:
        """Whether the function may read the datasets now."""
        in_time = self.expires_ms is None or now_ms < self.expires_ms
        return self.state == "granted" and in_time and datasets <= self.granted


@dataclass(frozen=True)
class Decision:
    """What a steward says: to `grant` the datasets asked for so far, or to take all of it back."""

    grant: bool
    by: str
    at_ms: int
    expires_ms: int | None = None


class ApprovalStore:
    """Several processes may use one at the same time, each with its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, code: str, image: str, product: str = "") -> Approval | None:
        """What is known of the function in the image, or of the statement for the product."""
        with Session(self._engine) as session, session.begin():
            row = session.get(ApprovalRow, (code, image, product))
            return None if row is None else _approval(row)

    def every(self) -> list[Approval]:
        """The newest request first."""
        query = select(ApprovalRow).order_by(
            ApprovalRow.asked_ms.desc(), ApprovalRow.code, ApprovalRow.image, ApprovalRow.product
        )
        with Session(self._engine) as session, session.begin():
            return [_approval(row) for row in session.scalars(query)]

    def ask(self, asked: Approval) -> None:
        """Note the request; one that is known already only gets the datasets that it did not name."""
        with Session(self._engine) as session, session.begin():
            row = session.get(ApprovalRow, (asked.code, asked.image, asked.product))
            if row is None:
                session.add(_row(asked))
                session.flush()
                _forget_oldest(session, asked)
            else:
                row.datasets = _text(frozenset(json.loads(row.datasets)) | asked.datasets)

    def decide(self, seen: Approval, decision: Decision, also: Callable[[Session, Approval], object]) -> Approval:
        """Write the decision about the request as its steward saw it, and what `also` writes, all or nothing.

        What was asked for meanwhile is not granted. Raises `NotFound` where the request is gone.
        """
        with Session(self._engine) as session, session.begin():
            row = session.get(ApprovalRow, (seen.code, seen.image, seen.product))
            if row is None:
                raise NotFound(what="request for an approval", name=seen.code[:12])
            row.state = "granted" if decision.grant else "revoked"
            row.granted = _text(seen.datasets if decision.grant else frozenset())
            row.decided_by, row.decided_ms, row.expires_ms = decision.by, decision.at_ms, decision.expires_ms
            decided = _approval(row)
            also(session, decided)
            return decided


def _forget_oldest(session: Session, asked: Approval) -> None:
    waiting = (
        select(ApprovalRow)
        .where(ApprovalRow.state == "requested")
        .where(ApprovalRow.tenant == asked.tenant, ApprovalRow.principal == asked.principal)
        .order_by(ApprovalRow.asked_ms.desc())
        .offset(WAITING_AT_MOST)
    )
    for row in session.scalars(waiting):
        session.delete(row)


def _row(asked: Approval) -> ApprovalRow:
    return ApprovalRow(**{**vars(asked), "datasets": _text(asked.datasets), "granted": _text(asked.granted)})


def _approval(row: ApprovalRow) -> Approval:
    columns = {column.key: getattr(row, column.key) for column in ApprovalRow.__table__.columns}
    datasets, granted = frozenset(json.loads(row.datasets)), frozenset(json.loads(row.granted))
    return Approval(**{**columns, "datasets": datasets, "granted": granted})


def _text(datasets: frozenset[str]) -> str:
    return json.dumps(sorted(datasets), ensure_ascii=False)
