"""Labels of the tables' columns as bits of an integer, so that joining them while walking a plan costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from datacanal.planning.lineage.relation import TracedTable
from datacanal.protocol.labels import Label, Origin

Mask = int
"""A set of columns: bit n stands for the n-th source."""


class Sources:
    """Every column of every table as a source, and per table one more for the existence of its rows."""

    def __init__(self, tables: Mapping[str, TracedTable]) -> None:
        self.tables = tables
        self._labels: list[Label] = []
        self._distinct: list[int] = []
        self._known: dict[str, int] = {}
        self._joined: dict[frozenset[int], Label] = {}
        self._columns: dict[str, int] = {}
        self._rows: dict[str, Mask] = {}
        self._bounds: dict[Mask, Mask] = {}
        self.governed: Mask = 0
        for occurrence, table in tables.items():
            self._columns[occurrence] = len(self._labels)
            for column in table.columns:
                self._add(column.label)
            self._rows[occurrence] = self._add(_rows_label(table))
        for number, label in enumerate(list(self._labels)):
            if any(origin.buckets for origin in unreleased(label)):
                self._bounds[1 << number] = self._add(_bounded(label))

    def column(self, occurrence: str, position: int) -> Mask:
        """The source of a column."""
        return 1 << (self._columns[occurrence] + position)

    def rows(self, occurrence: str) -> Mask:
        """The source that says whose rows these are; nothing of their values."""
        return self._rows[occurrence]

    def bounded(self, column: Mask) -> Mask:
        """The source that says on which side of a boundary that one column's value lies."""
        return self._bounds[column]

    def table(self, occurrence: str) -> Mask:
        """All sources of a table."""
        count = len(self.tables[occurrence].columns)
        return ((1 << count) - 1) << self._columns[occurrence] | self._rows[occurrence]

    def everything(self) -> Mask:
        """All sources of all tables."""
        return (1 << len(self._labels)) - 1

    def label(self, mask: Mask) -> Label:
        """The label of what depends on those sources."""
        chosen = frozenset(self._distinct[number] for number in _numbers(mask))
        if chosen not in self._joined:
            self._joined[chosen] = Label().joined(*(self._labels[number] for number in sorted(chosen)))
        return self._joined[chosen]

    def origins(self, mask: Mask) -> list[Origin]:
        """The governed columns among the sources, as they stand behind them."""
        return [origin for number in _numbers(mask & self.governed) for origin in unreleased(self._labels[number])]

    def _add(self, label: Label) -> Mask:
        number = len(self._labels)
        self._labels.append(label)
        self._distinct.append(self._known.setdefault(label.model_dump_json(), number))
        if not label.is_free:
            self.governed |= 1 << number
        return 1 << number


def unreleased(label: Label) -> list[Origin]:
    """The origins that have not passed a protected aggregate."""
    return [origin for origin in label.origins if not origin.released]


def _bounded(label: Label) -> Label:
    origins = [origin.model_copy(update={"bounded": True}) for origin in unreleased(label)]
    return label.model_copy(update={"origins": origins})


def _rows_label(table: TracedTable) -> Label:
    """That there are rows is free, but whose they are is remembered."""
    return Label(owners=Label().joined(*(column.label for column in table.columns)).owners)


def _numbers(mask: Mask) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
