"""Reading snapshots: the rows of a query as Arrow batches, page by page, from any number of threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from datacanal.formats.types import TYPE_KEY
from datacanal.products.cursor import Key
from datacanal.products.encoding_texts import Texts
from datacanal.products.manifest import Manifest, read_manifest, snapshot_folder
from datacanal.products.query_form import Filter, Query
from datacanal.products.reading_bands import FEW_GROUPS, Sorting, banded, gathered
from datacanal.products.reading_database import Database
from datacanal.products.reading_files import ColumnCache, StoredFile
from datacanal.products.reading_lying import Lying, direction, groups_of, lying
from datacanal.products.reading_sql import count_sql, page_sql
from datacanal.products.reading_stop import Stop

_OPEN_SNAPSHOTS = 256


@dataclass(frozen=True)
class Page:
    """`batches` have `rows` rows together; `next_key` is the last row's key where there are rows after it."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    rows: int
    next_key: Key | None


class Walk:
    """One page as it is read: iterate once over its batches, then `rows` and `next_key` are those of the whole page.

    `schema` is that of every batch; its fields' metadata hold the DuckDB types. Raises `ReadStopped` once stopped.
    """

    def __init__(self, schema: pa.Schema, source: Generator[list[pa.Array]], query: Query, texts: Texts) -> None:
        self.schema = schema
        self.rows = 0
        self.next_key: Key | None = None
        self._source = source
        self._query = query
        self._texts = texts

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # What reads the rows ends here, in this thread, also where not all of them were wanted.
        with closing(self._source) as source:
            yield from self._cut(source)

    def _cut(self, source: Iterable[list[pa.Array]]) -> Iterator[pa.RecordBatch]:
        last: list[pa.Array] = []
        for found in source:
            room = self._query.limit - self.rows
            taken = [column.slice(0, room) for column in found] if room else last
            if room:
                self.rows += len(taken[0])
                yield self._batch(taken)
            if len(found[0]) > room:
                self.next_key = self._key(taken)
                return
            last = taken

    def _batch(self, columns: Sequence[pa.Array]) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(columns[: len(self.schema)], schema=self.schema)

    def _key(self, columns: Sequence[pa.Array]) -> Key:
        names = columns_read(self._query)
        lasts = {name: column.slice(len(column) - 1) for name, column in zip(names, columns, strict=True)}
        return tuple(self._texts.plain(lasts[each.column], each.type)[0] for each in self._query.order)


class SnapshotReader:
    """One snapshot, opened. For any number of threads."""

    def __init__(self, folder: Path, database: Database, cache: ColumnCache) -> None:
        self._folder = folder
        self.manifest: Manifest = read_manifest(folder)
        self._database = database
        self._texts = Texts(database)
        self._files = [StoredFile(folder, layout, cache) for layout in self.manifest.layouts]
        types = {column.name: column.type for column in self.manifest.columns}
        self._fields = {
            field.name: field.with_metadata({TYPE_KEY: types[field.name]})
            for field in database.schema(self._files[0].path)
        }

    @property
    def is_there(self) -> bool:
        """Whether the snapshot's files were not taken away since."""
        return self._folder.is_dir()

    def walk(self, query: Query, after: Key | None, stop: Stop) -> Walk:
        """The page of at most `query.limit` rows after the key, to be read batch by batch."""
        schema = pa.schema([self._fields[name] for name in query.select])
        return Walk(schema, self._source(query, after, stop), query, self._texts)

    def page(self, query: Query, after: Key | None, stop: Stop) -> Page:
        """The page, read whole."""
        walk = self.walk(query, after, stop)
        batches = list(walk)
        return Page(walk.schema, batches, walk.rows, walk.next_key)

    def count(self, query: Query, stop: Stop) -> int:
        """How many rows pass the query's filters, its limit aside."""
        if not query.filters:
            return self.manifest.rows
        few = gathered(self._files, query, None)
        if few is not None:
            return few.read.count(stop)
        return self._database.number(count_sql(query, self._narrowest(query.filters).path), stop)

    def rows_at_most(self, query: Query) -> int:
        """No more rows than this pass the filters, the limit aside; no row is read to know it."""
        file = self._narrowest(query.filters)
        return _rows(file, query.filters)

    def _source(self, query: Query, after: Key | None, stop: Stop) -> Generator[list[pa.Array]]:
        names = columns_read(query)
        if self._same_types(names):
            read = self._read(query, after)
            if read is not None:
                return read.batches(names, stop)
        return self._found_by_duckdb(query, names, after, stop)

    def _read(self, query: Query, after: Key | None) -> Lying | Sorting | None:
        """The cheapest read without DuckDB: a few row groups in order, a few to be sorted, many in order, bands."""
        in_order = lying(self._files, query, after)
        if in_order is not None and len(in_order.groups) <= FEW_GROUPS:
            return in_order
        few = gathered(self._files, query, after)
        return few or in_order or banded(self._files, query, after)

    def _found_by_duckdb(
        self, query: Query, names: Sequence[str], after: Key | None, stop: Stop
    ) -> Generator[list[pa.Array]]:
        in_order = [file for file in self._files if direction(file, query) == "forwards"]
        file = in_order[0] if in_order else self._narrowest(query.filters)
        lies = bool(in_order) and not any(each.nullable for each in query.order)
        statement = page_sql(query, file.path, names, after, query.limit + 1, lies=lies)
        with closing(self._database.batches(statement, stop)) as batches:
            yield from (batch.columns for batch in batches)

    def _narrowest(self, filters: Sequence[Filter]) -> StoredFile:
        return min(self._files, key=lambda file: _rows(file, filters))

    def _same_types(self, names: Sequence[str]) -> bool:
        """Whether pyarrow reads the columns in the types that DuckDB hands out."""
        return all(self._files[0].schema.field(name).type == self._fields[name].type for name in names)


class Readers:
    """The snapshots of one store; each is opened once. `scratch` is DuckDB's place to spill."""

    def __init__(self, store: Path, scratch: Path, *, memory_bytes: int, cache_bytes: int, threads: int) -> None:
        self._store = store
        self._database = Database(store, scratch, memory_bytes, threads)
        self._cache = ColumnCache(cache_bytes)
        self._open: OrderedDict[tuple[str, str], SnapshotReader] = OrderedDict()
        self._lock = threading.Lock()
        self.texts = Texts(self._database)

    def reader(self, product: str, snapshot: str) -> SnapshotReader:
        """The snapshot's reader. Raises `FileNotFoundError` for one that is not there."""
        place = product, snapshot
        with self._lock:
            if place not in self._open:
                folder = snapshot_folder(self._store, product, snapshot)
                self._open[place] = SnapshotReader(folder, self._database, self._cache)
            self._open.move_to_end(place)
            while len(self._open) > _OPEN_SNAPSHOTS:
                self._open.popitem(last=False)
            return self._open[place]

    def close(self) -> None:
        """Reads that still run fail."""
        self._database.close()


def columns_read(query: Query) -> list[str]:
    """The columns of the answer, then those of its order that are not among them."""
    return list(dict.fromkeys([*query.select, *(each.column for each in query.order)]))


def _rows(file: StoredFile, filters: Sequence[Filter]) -> int:
    try:
        return sum(file.group_rows[group] for group in groups_of(file, filters))
    except pa.ArrowInvalid:
        # A value that DuckDB can write and Arrow cannot: the footer judges nothing.
        return sum(file.group_rows)
