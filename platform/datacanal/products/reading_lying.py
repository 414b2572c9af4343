"""Pages in the order in which a file's rows lie: row group after row group, until the page is full.

This is how nearly all pages are read, and it costs the row groups of the page, wherever in the file that is. What it
cannot do (`lying` says so) is DuckDB's work.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from datacanal.products.cursor import Key
from datacanal.products.query_form import Filter, Query
from datacanal.products.reading_files import StoredFile
from datacanal.products.reading_masks import after, comparable, filterable, passing, scalars, selected
from datacanal.products.reading_stop import Stop

_FEW_GROUPS = 2
"""So few that no other file is looked at."""
_KEPT_GROUPS = 4
"""Of one read: a long one would drop what all others have in the cache."""


@dataclass(frozen=True)
class Lying:
    """A read of `groups`, in that order; `backwards`: from the last row to the first."""

    file: StoredFile
    query: Query
    after: Key | None
    groups: Sequence[int]
    backwards: bool

    def batches(self, columns: Sequence[str], stop: Stop) -> Generator[list[pa.Array]]:
        """The columns of the rows that pass, in order; batches without a row are left out. Raises `ReadStopped`."""
        for position in range(len(self.groups)):
            stop.check()
            found = self.rows(position, columns)
            if len(found[0]):
                yield [_reversed(column) for column in found] if self.backwards else found

    def count(self, stop: Stop) -> int:
        """How many rows pass. Raises `ReadStopped`."""
        counted = 0
        for position in range(len(self.groups)):
            stop.check()
            counted += len(self.rows(position, self.file.order[:1])[0])
        return counted

    def rows(self, position: int, columns: Sequence[str]) -> list[pa.Array]:
        """The columns of the rows that pass in one of the groups, as they lie."""
        tested = [each.column for each in self.query.filters]
        walked = [each.column for each in self.query.order] if self.after is not None else []
        needed = list(dict.fromkeys([*columns, *tested, *walked]))
        held = self.file.columns(self.groups[position], needed, keep=position < _KEPT_GROUPS)
        filters, held = self._spanned(position, held)
        masks = [passing(each, held[each.column]) for each in filters]
        if self.after is not None:
            masks.append(after(self.query.order, self.after, held))
        return selected(masks, [held[name] for name in columns])

    def _spanned(self, position: int, held: dict[str, pa.Array]) -> tuple[Sequence[Filter], dict[str, pa.Array]]:
        """The filters that are left, and the rows, once an equality on the file's first column has found its run."""
        for each in self.query.filters:
            column = held[each.column]
            if each.column == self.file.order[0] and each.operator == "eq" and comparable(each.type):
                span = self.file.span(self.groups[position], scalars(each.values, column.type)[0])
                if span is not None:
                    rest = [other for other in self.query.filters if other is not each]
                    return rest, {name: values.slice(*span) for name, values in held.items()}
        return self.query.filters, held


def lying(files: Iterable[StoredFile], query: Query, key: Key | None) -> Lying | None:
    """The read of the file in whose order the query wants its rows; the one with the least to read, or none."""
    if not readable(query, key):
        return None
    best: Lying | None = None
    for file in files:
        way = direction(file, query)
        read = read_of(file, query, key, way == "backwards") if way else None
        if read is not None and (best is None or len(read.groups) < len(best.groups)):
            best = read
        if best is not None and len(best.groups) <= _FEW_GROUPS:
            break
    return best


def direction(file: StoredFile, query: Query) -> str:
    """`forwards` or `backwards`, as the file's rows lie in the query's order; an empty text where they do not.

    A column that an equality holds to one value orders nothing.
    """
    fixed = {each.column for each in query.filters if each.operator == "eq"}
    wanted = [(each.column, each.descending) for each in query.order if each.column not in fixed]
    lie = [name for name in file.order if name not in fixed]
    if [name for name, _ in wanted] != lie or len({descending for _, descending in wanted}) > 1:
        return ""
    return "backwards" if wanted and wanted[0][1] else "forwards"


def groups_of(file: StoredFile, filters: Sequence[Filter]) -> Sequence[int]:
    """The row groups in which a row may pass. Filters that the footer cannot judge leave all of them."""
    groups: Iterable[int] = range(len(file.group_rows))
    for each in sorted(filters, key=lambda each: file.order.index(each.column) if each.column in file.order else 99):
        zones = file.zones(each.column) if filterable(each) and each.operator not in ("ne", "isnull") else None
        if zones is not None:
            values = scalars(each.values, file.schema.field(each.column).type)
            groups = zones.narrowed(groups, each.operator, values.to_pylist())
    return list(groups)


def readable(query: Query, key: Key | None) -> bool:
    """Whether Arrow filters and orders the query's rows as DuckDB does."""
    ordered = all(comparable(each.type) and not each.nullable for each in query.order)
    return ordered and (key is None or None not in key) and all(map(filterable, query.filters))


def read_of(file: StoredFile, query: Query, key: Key | None, backwards: bool) -> Lying | None:
    """The read of that file; none where a value is one that DuckDB can write and Arrow cannot."""
    try:
        groups = groups_of(file, [*query.filters, *_beyond(query, key)])
        for each, text in zip(query.order, key or (), strict=False):
            scalars((text or "",), file.schema.field(each.column).type)
    except pa.ArrowInvalid:
        return None
    return Lying(file, query, key, groups[::-1] if backwards else groups, backwards)


def _beyond(query: Query, key: Key | None) -> list[Filter]:
    """What the walk's place says about the first column that changes along it."""
    fixed = {each.column for each in query.filters if each.operator == "eq"}
    for each, text in zip(query.order, key or (), strict=False):
        if each.column not in fixed and text is not None:
            return [Filter(each.column, "lte" if each.descending else "gte", (text,), each.type)]
    return []


def _reversed(column: pa.Array) -> pa.Array:
    return column.take(pa.array(np.arange(len(column) - 1, -1, -1)))
