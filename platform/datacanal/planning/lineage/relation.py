"""What tracing takes and gives: the tables with their labels, and the traced relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from datacanal.protocol.labels import Label
from datacanal.protocol.plan import PlanColumn


@dataclass(frozen=True)
class TracedTable:
    """One occurrence of a dataset; the labels of `columns` are what its owner, or its sender, says of them."""

    lake: str
    dataset: str
    columns: Sequence[PlanColumn]


@dataclass(frozen=True)
class BaseColumn:
    """A column of a table as it stands there. `row` tells uses of one table apart: equal ones come from one row."""

    occurrence: str
    lake: str
    dataset: str
    column: str
    row: tuple[int, ...]


def of_another_row(base: BaseColumn | None, number: int) -> BaseColumn | None:
    """The same column, read once more or grouped: no longer from one row with what it was beside."""
    return base and replace(base, row=(*base.row, number))


@dataclass(frozen=True)
class Traced:
    """A column of a relation. `base` is the column that it is, unchanged; None where anything was done to it."""

    label: Label
    base: BaseColumn | None = None


@dataclass(frozen=True)
class Relation:
    """A statement's result. `shape` is the label of whatever decides which rows there are and in which order.

    `reasons` says, for a governed column (`lake.dataset.column`), where the statement used it in a way that counts.
    `bounds` are the columns that it compares with boundaries of their policies.
    """

    columns: tuple[Traced, ...]
    shape: Label
    reasons: Mapping[str, str] = field(default_factory=dict)
    bounds: tuple[BaseColumn, ...] = ()


def output_labels(relation: Relation) -> list[Label]:
    """What is said of each column when the relation leaves as it is: its own label and that of the shape."""
    return [column.label.joined(relation.shape) for column in relation.columns]
