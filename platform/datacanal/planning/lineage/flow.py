"""A relation inside a plan, while it is walked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datacanal.planning.lineage.relation import BaseColumn
from datacanal.planning.lineage.sources import Mask

Json = dict[str, Any]
BOOLEAN: Json = {"id": "BOOLEAN"}
BIGINT: Json = {"id": "BIGINT"}


class NotUnderstood(Exception):
    """A part of the plan is not what the rules know: whatever lies below it may have flowed anywhere."""


@dataclass(frozen=True)
class Column:
    """What a column depends on, its type as the plan writes it, and the base column that it is, unchanged."""

    mask: Mask
    kind: Json
    base: BaseColumn | None = None

    def derived(self) -> Column:
        """The same column where its values are no longer a base column's own."""
        return replace(self, base=None)


@dataclass(frozen=True)
class Flow:
    """An operator's output.

    `rows` decides which rows there are and in which order, `repeats` only how often each stands there (DISTINCT): it
    does not matter to whoever asks whether there is such a row. `below` is everything that it was made of, `index` the
    table index of its bindings. `opaque` says that its columns are not known: then `rows` is everything, and nothing
    may refer to a column.
    """

    columns: tuple[Column, ...]
    rows: Mask
    below: Mask
    index: int | None = None
    repeats: Mask = 0
    opaque: bool = False

    @property
    def shape(self) -> Mask:
        """Whatever decides about rows."""
        return self.rows | self.repeats

    def at(self, position: Any) -> Column:
        """The column at a position. Raises `NotUnderstood` where there is none."""
        if not isinstance(position, int) or not 0 <= position < len(self.columns):
            raise NotUnderstood(f"no column {position}")
        return self.columns[position]

    def mapped(self, positions: Sequence[int] | None) -> Flow:
        """The output after a projection map; an empty one keeps every column."""
        if not positions:
            return self
        return replace(self, columns=tuple(self.at(position) for position in positions), index=None)

    def shaped(self, mask: Mask) -> Flow:
        """The same columns where the mask, too, decides about rows."""
        return replace(self, rows=self.rows | mask)

    def repeated(self, mask: Mask) -> Flow:
        """The same columns where the mask, too, decides how often rows repeat."""
        return replace(self, repeats=self.repeats | mask)

    def with_columns(self, columns: Iterable[Column], index: int | None = None) -> Flow:
        """Other columns over the same rows."""
        return replace(self, columns=tuple(columns), index=index)


def opaque(below: Mask) -> Flow:
    """A relation of which only that is known: what it was made of."""
    return Flow((), below, below, opaque=True)


def beside(left: Flow, right: Flow) -> Flow:
    """The columns of both, left first; rows of either decide about rows."""
    columns = (*left.columns, *right.columns)
    return Flow(columns, left.rows | right.rows, left.below | right.below, repeats=left.repeats | right.repeats)


def merged(columns: Iterable[Column]) -> Mask:
    """What any of the columns depends on."""
    mask = 0
    for column in columns:
        mask |= column.mask
    return mask
