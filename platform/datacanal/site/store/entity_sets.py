"""The entity log: outlines of the groups that were released, by measure; later groups are held against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import ColumnElement, Engine, Index, LargeBinary, String, delete, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from datacanal.site.gate.outlines import Outline
from datacanal.site.store.models import SITE_ITSELF, Base
from datacanal.storage.tables import COUNTER, Owned

RETENTION_DAYS = 35
"""How long a released group is held against later ones."""
SETS_AT_MOST = 20_000
"""Groups, and sums of groups, kept of one measure: 7 kB each at most. Beyond them the oldest go; no release may have
more groups."""


@dataclass(frozen=True)
class MeasureKey:
    """A governed column, and the dataset (`lake.name`) whose individuals the groups of it were told apart by."""

    lake: str
    dataset: str
    column: str
    entity: str


class EntitySetRow(Owned, Base):
    """One released group of one measure, see `gate.outlines`. Numbers lie one after the other, little-endian."""

    __tablename__ = "entity_sets"
    __table_args__ = (Index(None, "lake", "dataset", "measure", "entity", "individuals"), Index(None, "day"))

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    lake: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str]
    measure: Mapped[str]
    entity: Mapped[str]
    day: Mapped[str] = mapped_column(String(10))
    individuals: Mapped[int]
    least: Mapped[bytes] = mapped_column(LargeBinary)
    cells: Mapped[int]
    places: Mapped[bytes] = mapped_column(LargeBinary)
    sums: Mapped[bytes] = mapped_column(LargeBinary)


_STORED = (
    EntitySetRow.id,
    EntitySetRow.individuals,
    EntitySetRow.least,
    EntitySetRow.cells,
    EntitySetRow.places,
    EntitySetRow.sums,
)


class EntityLog:
    """Reads in transactions of its own, writes in that of the release."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def outlines(self, key: MeasureKey, fewest: int) -> list[Outline]:
        """What is kept of the measure with at least so many individuals."""
        query = select(*_STORED).where(*_is(key), EntitySetRow.individuals >= fewest)
        with Session(self._engine) as session, session.begin():
            return [_outline(*row) for row in session.execute(query.order_by(EntitySetRow.id))]

    def write(self, session: Session, key: MeasureKey, released: Sequence[Outline], day: date) -> None:
        """Keep the outlines; of those that the log knows, that they were released again. The oldest go."""
        known = [each.known for each in released if each.known is not None]
        new = [_values(key, each, day) for each in released if each.known is None]
        if known:
            again = update(EntitySetRow).where(EntitySetRow.id.in_(known)).values(day=day.isoformat())
            session.execute(again)
        if new:
            session.execute(insert(EntitySetRow), new)
        oldest = (day - timedelta(days=RETENTION_DAYS)).isoformat()
        session.execute(delete(EntitySetRow).where(EntitySetRow.day < oldest))
        newest = select(EntitySetRow.id).where(*_is(key)).order_by(EntitySetRow.day.desc(), EntitySetRow.id.desc())
        beyond = session.scalars(newest.offset(SETS_AT_MOST)).all()
        session.execute(delete(EntitySetRow).where(EntitySetRow.id.in_(beyond)))


def _is(key: MeasureKey) -> tuple[ColumnElement[bool], ...]:
    return (
        EntitySetRow.lake == key.lake,
        EntitySetRow.dataset == key.dataset,
        EntitySetRow.measure == key.column,
        EntitySetRow.entity == key.entity,
    )


def _values(key: MeasureKey, outline: Outline, day: date) -> dict[str, object]:
    return {
        "lake": key.lake,
        "dataset": key.dataset,
        "measure": key.column,
        "entity": key.entity,
        "day": day.isoformat(),
        "individuals": outline.individuals,
        "least": outline.least.astype("<u8").tobytes(),
        "cells": outline.cells,
        "places": outline.places.astype("<u4").tobytes(),
        "sums": outline.values.astype("<u8").tobytes(),
        **SITE_ITSELF,
    }


def _outline(number: int, individuals: int, least: bytes, cells: int, places: bytes, sums: bytes) -> Outline:
    return Outline(
        individuals=individuals,
        least=np.frombuffer(least, "<u8"),
        cells=cells,
        places=np.frombuffer(places, "<u4").astype(np.int64),
        values=np.frombuffer(sums, "<u8"),
        known=number,
    )
