"""Pages in an order in which no file lies: row groups are read, and rows sorted once nothing can come before them.

Along the order's first column, where a file has that (the newest session first, its keys upwards), a page costs its own
sessions. Where the filters leave few row groups of a file, all of them are read and sorted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datacanal.products.cursor import Key
from datacanal.products.query_form import Order, Query
from datacanal.products.reading_files import StoredFile
from datacanal.products.reading_lying import Lying, read_of, readable
from datacanal.products.reading_stop import Stop

_MOST_GROUPS = 32
"""Row groups whose rows may have to be in memory together."""
FEW_GROUPS = 8
"""So few that sorting them is cheaper than reading on in order through many."""


@dataclass(frozen=True)
class Sorting:
    """`edges` has, per row group of the read, where the values of `lead` go on in the next one.

    None: nothing is known, so nothing is handed out before that one is read too.
    """

    read: Lying
    lead: Order
    edges: Sequence[Any]

    def batches(self, columns: Sequence[str], stop: Stop) -> Generator[list[pa.Array]]:
        """The columns of the rows that pass, in the query's order. Raises `ReadStopped`."""
        order = [(columns.index(each.column), each) for each in self.read.query.order]
        lead = columns.index(self.lead.column)
        held: list[list[pa.Array]] = []
        for position, edge in enumerate(self.edges):
            stop.check()
            held.append(self.read.rows(position, columns))
            if edge is None and position + 1 < len(self.edges):
                continue
            rows = [pa.concat_arrays(parts) for parts in zip(*held, strict=True)]
            decided = self._decided(rows[lead], edge)
            if pc.any(decided).as_py():
                yield _sorted([column.filter(decided) for column in rows], order)
            held = [[column.filter(pc.invert(decided)) for column in rows]]

    def _decided(self, lead: pa.Array, edge: Any) -> pa.Array:
        """The rows that no row of a later group can come before or among; all of them, where none is later."""
        if edge is None:
            return pa.array([True] * len(lead), pa.bool_())
        value = pa.scalar(edge, lead.type)
        return pc.greater(lead, value) if self.lead.descending else pc.less(lead, value)


def gathered(files: Iterable[StoredFile], query: Query, key: Key | None) -> Sorting | None:
    """The read of the file of which the filters leave least, where that is little; or none."""
    if not readable(query, key):
        return None
    reads = [read for file in files if (read := read_of(file, query, key, backwards=False))]
    least = min(reads, key=lambda read: len(read.groups), default=None)
    if least is None or len(least.groups) > FEW_GROUPS:
        return None
    return Sorting(least, query.order[0], [None] * len(least.groups))


def banded(files: Iterable[StoredFile], query: Query, key: Key | None) -> Sorting | None:
    """The read of the first file that lies along the first column of the query's order, or none."""
    fixed = {each.column for each in query.filters if each.operator == "eq"}
    wanted = [each for each in query.order if each.column not in fixed]
    if not wanted or not readable(query, key):
        return None
    for file in files:
        # Columns before it in the file that are held to one value do not disturb how it lies.
        if [name for name in file.order if name not in fixed][:1] == [wanted[0].column]:
            return _along(file, wanted[0], query, key)
    return None


def _along(file: StoredFile, lead: Order, query: Query, key: Key | None) -> Sorting | None:
    read, zones = read_of(file, query, key, lead.descending), file.zones(lead.column)
    if read is None or zones is None:
        return None
    bounds = [(zones.least[group], zones.greatest[group]) for group in read.groups]
    if any(None in both for both in bounds) or _longest_band(bounds) > _MOST_GROUPS:
        return None
    begins = [greatest if lead.descending else least for least, greatest in bounds]
    return Sorting(read, lead, [*begins[1:], None])


def _longest_band(bounds: Sequence[tuple[Any, Any]]) -> int:
    """Of row groups in a row that hold one and the same value alone."""
    return max((len(list(same)) for _, same in groupby(bounds)), default=0)


def _sorted(columns: list[pa.Array], order: Sequence[tuple[int, Order]]) -> list[pa.Array]:
    keys = [(str(at), "descending" if each.descending else "ascending") for at, each in order]
    table = pa.table({str(at): column for at, column in enumerate(columns)})
    places = pc.sort_indices(table, sort_keys=keys)
    return [column.take(places) for column in columns]
