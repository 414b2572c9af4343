"""Reading snapshots: walks give every row once, both roads give equal answers, and a stop stops."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datacanal.products.cursor import Cursors, Key
from datacanal.products.query import Query, parse_query
from datacanal.products.reading import Readers, SnapshotReader, columns_read
from datacanal.products.reading_database import Database
from datacanal.products.reading_sql import count_sql, page_sql
from datacanal.products.reading_stop import ReadStopped, Stop
from datacanal.testing.snapshots import write_snapshot

CURSORS = Cursors(b"a secret of sixteen bytes or more")
_CASES = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(batches: Sequence[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def walked(
    reader: SnapshotReader,
    params: list[tuple[str, str]],
    chance: random.Random,
    sizes: Sequence[int] = (1, 2, 7, 100, 3000),
) -> list[tuple[Any, ...]]:
    """All pages, each of another size, by cursors as callers hold them."""
    found: list[tuple[Any, ...]] = []
    key: Key | None = None
    while True:
        query = parse_query([*params, ("limit", str(chance.choice(sizes)))], reader.manifest, 10_000)
        page = reader.page(query, key, Stop())
        assert page.rows <= query.limit
        found += rows_of(page.batches)
        if page.next_key is None:
            return found
        text = CURSORS.make(query, reader.manifest.snapshot, page.next_key)
        key = CURSORS.read(text, "lab.walk").key_for(query, reader.manifest.snapshot)


# ---------------------------------------------------------------- walks

_INSTANT = datetime(2024, 2, 29, tzinfo=UTC)
_KEY_VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "VARCHAR": (pa.string(), ["", "a", "A", "中文", "é", "😀", "a b", "￿", '"', "null"]),
    "BIGINT": (pa.int64(), [-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1]),
    "UBIGINT": (pa.uint64(), [0, 1, 2**53 + 1, 2**64 - 1]),
    "DECIMAL": (pa.decimal128(38, 9), [Decimal(n).scaleb(-9) for n in (-(10**37), -1, 0, 1, 10**20, 10**37)]),
    "DATE": (pa.date32(), [date.min, date(1969, 12, 31), date(2024, 2, 29), date.max]),
    "TIMESTAMPTZ": (pa.timestamp("us", "UTC"), [_INSTANT + timedelta(microseconds=n) for n in (-1, 0, 1, 10**6)]),
    "DOUBLE": (pa.float64(), [-math.inf, -0.1, -0.0, 5e-324, 0.1, 1e300, math.inf, math.nan]),
    "NULLABLE": (pa.string(), ["", "a", "b", None]),
    "BOOLEAN": (pa.bool_(), [False, True]),
}


def _rank(value: Any) -> tuple[int, Any]:
    """Nulls after all else, NaN after all numbers, as DuckDB has it."""
    if value is None:
        return 2, 0
    return (1, 0) if isinstance(value, float) and math.isnan(value) else (0, value)


def in_order(rows: list[tuple[Any, ...]], descending: Sequence[bool]) -> list[tuple[Any, ...]]:
    """Python's own sort; nulls come last in both directions."""
    for place in reversed(range(len(descending))):
        down = descending[place]
        rows = sorted(rows, key=lambda row: _rank(row[place]), reverse=down)  # used at once
        rows = sorted(rows, key=lambda row: row[place] is None)  # used at once
    return rows


def _comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """NaN equals NaN only as text."""
    return tuple(repr(value) if isinstance(value, float) else value for value in row)


@_CASES
@given(
    kinds=st.lists(st.sampled_from(sorted(_KEY_VALUES)), min_size=1, max_size=3),
    descending=st.lists(st.booleans(), min_size=3, max_size=3),
    shuffled=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_a_walk_of_any_page_sizes_gives_every_row_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[str],
    descending: list[bool],
    shuffled: bool,
    chance: random.Random,
) -> None:
    names = [f"k{position}" for position in range(len(kinds))]
    rows: list[tuple[Any, ...]] = [()]
    for kind in kinds:
        rows = [(*row, value) for row in rows for value in _KEY_VALUES[kind][1]]
    # One more column makes several row groups of a few distinct keys.
    rows = [(*row, number) for row in rows for number in range(1 + 3000 // len(rows))]
    columns = dict(zip([*names, "n"], zip(*rows, strict=True), strict=True))
    types = [*(_KEY_VALUES[kind][0] for kind in kinds), pa.int32()]
    table = pa.table({n: pa.array(v, t) for (n, v), t in zip(columns.items(), types, strict=True)})
    order = list(zip([*names, "n"], [*descending[: len(kinds)], descending[0]], strict=True))
    if shuffled:
        chance.shuffle(order)
    folder = tmp_path_factory.mktemp("walk")
    write_snapshot(folder / "store", "lab.walk", table, [*names, "n"])
    readers = Readers(folder / "store", folder, memory_bytes=2**28, cache_bytes=2**20, threads=1)
    params = [("order", ",".join(f"-{name}" if down else name for name, down in order))]
    found = walked(readers.reader("lab.walk", "snp_test"), [*params, ("select", ",".join(n for n, _ in order))], chance)
    readers.close()
    places = [[*names, "n"].index(name) for name, _ in order]
    expected = in_order([tuple(row[place] for place in places) for row in rows], [down for _, down in order])
    assert list(map(_comparable, found)) == list(map(_comparable, expected))


_BEYOND = {
    "DATE": ("DATE '-0044-03-15'", "DATE '2024-02-29'", "2024-02-29"),
    "TIMESTAMP": ("'-infinity'::TIMESTAMP", "TIMESTAMP '2024-02-29 10:00:00'", "2024-02-29T10:00:00"),
    "TIMESTAMPTZ": ("'-infinity'::TIMESTAMPTZ", "TIMESTAMPTZ '2024-02-29 10:00:00Z'", "2024-02-29T10:00:00Z"),
}


@pytest.mark.parametrize("kind", _BEYOND)
@pytest.mark.parametrize("order", ["k,j", "-k,-j", "-k,j", "j,-k", "-j,k"])
def test_a_walk_goes_on_over_days_that_python_does_not_have(tmp_path: Path, kind: str, order: str) -> None:
    before, usual, written = _BEYOND[kind]
    keys = f"SELECT unnest([{before}, {usual}, 'infinity'::{kind}]) AS k"
    write_snapshot(tmp_path / "store", "lab.walk", f"SELECT k, j FROM ({keys}), range(3) r(j)", ["k", "j"])
    (tmp_path / "scratch").mkdir()
    readers = Readers(tmp_path / "store", tmp_path / "scratch", memory_bytes=2**28, cache_bytes=2**22, threads=1)
    try:
        reader = readers.reader("lab.walk", "snp_test")
        found: list[tuple[str | None, ...]] = []
        key: Key | None = None
        for _ in range(9):
            page = reader.page(parse_query([("order", order), ("limit", "1")], reader.manifest, 10), key, Stop())
            key = page.next_key
            found += [key] if key else []
        assert (len(set(found)), key) == (8, None)
        assert reader.page(parse_query([("k", written)], reader.manifest, 10), None, Stop()).rows == 3
    finally:
        readers.close()


def test_a_walk_needs_none_of_its_key_among_the_columns(reader: SnapshotReader) -> None:
    query = parse_query([("select", "whole"), ("limit", "4000")], reader.manifest, 10_000)
    first = reader.page(query, None, Stop())
    second = reader.page(query, first.next_key, Stop())
    assert first.schema.names == ["whole"]
    assert sorted(row for (row,) in rows_of([*first.batches, *second.batches])) == list(range(6000))
    assert second.next_key is None


def test_a_page_that_ends_with_the_last_row_has_no_next(reader: SnapshotReader) -> None:
    query = parse_query([("limit", "6000")], reader.manifest, 10_000)
    page = reader.page(query, None, Stop())
    assert (page.rows, page.next_key) == (6000, None)


@pytest.mark.parametrize("width", [1, 100, 3000, 30_000])
@pytest.mark.parametrize("order", ["-lead,k", "lead,-k"])
def test_an_order_of_which_the_file_has_the_first_column_walks_as_well(tmp_path: Path, width: int, order: str) -> None:
    select = f"SELECT i // {width} AS lead, (i * 7919) % 30000 AS k, i % 5 AS part FROM range(30000) r(i)"
    write_snapshot(tmp_path / "store", "lab.walk", select, ["lead", "k"])
    readers = Readers(tmp_path / "store", tmp_path, memory_bytes=2**28, cache_bytes=2**20, threads=1)
    reader = readers.reader("lab.walk", "snp_test")
    for part in ([], [("part.lt", "2")]):
        chance = random.Random(width)
        found = walked(reader, [("order", order), ("select", "lead,k"), *part], chance, [1500, 4000])
        rows = [(i // width, i * 7919 % 30_000) for i in range(30_000) if not part or i % 5 < 2]
        sign = -1 if order.startswith("-") else 1
        assert found == sorted(rows, key=lambda row: (sign * row[0], -sign * row[1]))  # used at once
    readers.close()


# ---------------------------------------------------------------- both roads

_FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "sec": st.sampled_from(["证券000", "sec001", "sec001,证券003", "none"]),
        "sec.gte": st.sampled_from(["sec050", "证券", "", "zzz"]).map(lambda text: f'"{text}"'),
        "day": st.sampled_from(["2024-01-01", "2024-01-17", "2024-01-05,2024-02-01", "1999-01-01"]),
        "day.lt": st.sampled_from(["2024-01-02", "2024-01-31", "2025-01-01"]),
        "boolean": st.sampled_from(["true", "false", "true,false"]),
        "boolean.isnull": st.sampled_from(["true", "false"]),
        "wide.ne": st.sampled_from(["9007199254740992", "9007199254740992,9007199254740993"]),
        "uwide.lte": st.sampled_from(["18446744073709551615", "18446744073709550000"]),
        "huge.gt": st.sampled_from(["0", "-170141183460469231731687303715884"]),
        "amount.gte": st.sampled_from(["0", "-10.5", "29.99"]),
        "amount": st.sampled_from(["0.01", "0.01,0.02,5"]),
        "fine.lt": st.sampled_from(["0", "0.000000001"]),
        "real.gt": st.sampled_from(["0", "NaN", "Infinity", "-Infinity"]),
        "real.lte": st.sampled_from(["0", "NaN", "Infinity"]),
        "real": st.sampled_from(["0", "-0.0,1", "Infinity"]),
        "real.ne": st.sampled_from(["0", "NaN", "Infinity,NaN"]),
        "single.gte": st.sampled_from(["1", "142.85715", "NaN"]),
        "words.like": st.sampled_from(["%a%", "100\\%", "中__", "\"say%\"", "two%"]),
        "words": st.sampled_from(['""', '"x,y"', "中文 😀", "NULL"]),
        "moment.gte": st.sampled_from(["1970-01-01", "1970-01-01T00:10:00.5"]),
        "nanos.lt": st.sampled_from(["2023-11-14T22:13:20.000000123", "2030-01-01"]),
        "instant.gt": st.sampled_from(["2024-03-01T00:00:00+08:00", "2024-03-02T00:00:00Z"]),
        "clock.lte": st.sampled_from(["10:00:00.5", "10:00:03"]),
        "any_day.gte": st.sampled_from(["0001-01-01", "1910-01-01"]),
    },
)  # fmt: skip


@settings(_CASES, max_examples=150)
@given(
    filters=_FILTERS,
    order=st.sampled_from(["sec", "-sec,-day", "-day,-sec", "day", "-day", "sec,-day", "-sec"]),
    limit=st.sampled_from([1, 50, 6000]),
    select=st.sampled_from(["sec,day,whole", "words,list", "day,amount,real", "map,struct"]),
)
def test_every_layout_and_both_roads_give_what_duckdb_finds(
    reader: SnapshotReader,
    store: Path,
    database: Database,
    filters: dict[str, str],
    order: str,
    limit: int,
    select: str,
) -> None:
    params = [*filters.items(), ("order", order), ("limit", str(limit)), ("select", select)]
    query = parse_query(params, reader.manifest, 10_000)
    file = store / "lab.types" / "snp_test" / "by_key.parquet"
    expected = rows_of(list(database.batches(_plain(query, file), Stop())))
    page = reader.page(query, None, Stop())
    width = len(query.select)
    assert list(map(repr, rows_of(page.batches))) == [repr(row[:width]) for row in expected[:limit]]
    assert (page.next_key is None) == (len(expected) <= limit)
    count = database.number(count_sql(query, file), Stop())
    assert reader.count(query, Stop()) == count <= reader.rows_at_most(query)


def _plain(query: Query, file: Path) -> Any:
    return page_sql(query, file, columns_read(query), None, query.limit + 1, lies=False)


@pytest.fixture(scope="module")
def database(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    database = Database(store, tmp_path_factory.mktemp("scratch"), 2**28, 1)
    yield database
    database.close()


def test_one_security_is_bounded_by_the_row_groups_that_hold_it(reader: SnapshotReader) -> None:
    query = parse_query([("sec", "证券003")], reader.manifest, 1000)
    assert reader.count(query, Stop()) <= reader.rows_at_most(query) < reader.manifest.rows


def test_what_nobody_filters_is_counted_by_the_manifest(reader: SnapshotReader) -> None:
    query = parse_query([], reader.manifest, 1000)
    assert reader.count(query, Stop()) == reader.rows_at_most(query) == 6000


# ---------------------------------------------------------------- stops, threads, walls


class StopThatTells(Stop):
    """Says when DuckDB is about to work."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        with super().interrupting(interrupt):
            self.entered.set()
            yield


@pytest.mark.parametrize("order", ["sec", "sec,-day"])
def test_a_stopped_read_ends(reader: SnapshotReader, order: str) -> None:
    stop = Stop()
    walk = iter(reader.walk(parse_query([("order", order), ("limit", "6000")], reader.manifest, 10_000), None, stop))
    stop.set()
    with pytest.raises(ReadStopped):
        list(walk)


def test_a_stop_interrupts_a_query_that_duckdb_works_on(tmp_path: Path) -> None:
    select = "SELECT i AS k, repeat(md5(i::VARCHAR), 60) AS words FROM range(40000) r(i)"
    write_snapshot(tmp_path / "store", "lab.slow", select, ["k"])
    readers = Readers(tmp_path / "store", tmp_path, memory_bytes=2**29, cache_bytes=2**20, threads=1)
    reader = readers.reader("lab.slow", "snp_test")
    query = parse_query([("words.like", "%a" * 60 + "%x")], reader.manifest, 10_000)
    stop, stopped = StopThatTells(), threading.Event()

    def read() -> None:
        try:
            reader.page(query, None, stop)
        except ReadStopped:
            stopped.set()

    thread = threading.Thread(target=read)
    thread.start()
    stop.entered.wait()
    while thread.is_alive():
        stop.set()
        thread.join(0.01)
    readers.close()
    assert stopped.is_set()


def test_threads_share_a_reader(reader: SnapshotReader) -> None:
    queries = [
        parse_query([("sec", f"sec{n:03}"), ("order", o), ("select", "day,struct,words")], reader.manifest, 100)
        for n in range(20)
        for o in ("sec", "-day")
    ]
    expected = [rows_of(reader.page(query, None, Stop()).batches) for query in queries]
    found: dict[int, list[Any]] = {}

    def read(part: int) -> None:
        for at in range(part, len(queries), 4):
            found[at] = rows_of(reader.page(queries[at], None, Stop()).batches)

    threads = [threading.Thread(target=read, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(len(queries))] == expected


def test_a_snapshot_that_is_not_there_is_not_found(readers: Readers) -> None:
    with pytest.raises(FileNotFoundError):
        readers.reader("lab.types", "snp_none")


_LEADS = {
    "text": "lpad((i // 100)::VARCHAR, 4, '0')",
    "number": "(i // 100)::UBIGINT",
    "decimal": "(i // 100)::DECIMAL(38,2)",
    "instant": "make_timestamptz((i // 100) * 1000000)",
    "unique": "i",
}


@pytest.mark.parametrize("kind", _LEADS)
def test_one_value_of_the_first_column_is_found_wherever_it_lies(tmp_path: Path, kind: str) -> None:
    select = f"SELECT {_LEADS[kind]} AS lead, i AS n, CAST({_LEADS[kind]} AS VARCHAR) AS text FROM range(5000) r(i)"
    write_snapshot(tmp_path / "store", "lab.leads", select, ["lead", "n"])
    readers = Readers(tmp_path / "store", tmp_path, memory_bytes=2**28, cache_bytes=2**20, threads=1)
    reader = readers.reader("lab.leads", "snp_test")
    for number in (0, 1, 2047, 2048, 4999):
        every = parse_query([("n", str(number))], reader.manifest, 10)
        [(_, _, text)] = rows_of(reader.page(every, None, Stop()).batches)
        query = parse_query([("lead", text.replace("+00", "Z")), ("select", "n")], reader.manifest, 1000)
        first = number if kind == "unique" else number // 100 * 100
        expected = [(at,) for at in range(first, number + 1 if kind == "unique" else first + 100)]
        assert rows_of(reader.page(query, None, Stop()).batches) == expected
    readers.close()
