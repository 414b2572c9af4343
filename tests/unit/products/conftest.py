"""A store with one snapshot in which every type is that a snapshot can hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datacanal.products.reading import Readers, SnapshotReader
from datacanal.testing.snapshots import write_snapshot

ROWS = 6000
TYPES = f"""
SELECT
  CASE WHEN i % 3 = 0 THEN '证券' ELSE 'sec' END || lpad((i // 40)::VARCHAR, 3, '0') AS sec,
  DATE '2024-01-01' + (i % 40)::INTEGER AS day,
  CASE WHEN i % 7 > 0 THEN i % 2 = 0 END AS boolean,
  CASE WHEN i % 7 > 0 THEN i % 256 - 128 END::TINYINT AS tiny,
  (i % 256)::UTINYINT AS utiny,
  i::SMALLINT AS small,
  i::INTEGER AS whole,
  CASE WHEN i % 11 > 0 THEN 9007199254740992 + (i % 5 - 2) * 10000000 ** (i % 3) END::BIGINT AS wide,
  (18446744073709551615 - i)::UBIGINT AS uwide,
  (170141183460469231731687303715884 * (i % 500 - 250))::HUGEINT AS huge,
  CASE WHEN i % 5 > 0 THEN (i - 3000) / 100 END::DECIMAL(9,2) AS amount,
  ((i - 3000) * 0.000000001)::DECIMAL(38,12) AS fine,
  CASE i % 10 WHEN 0 THEN 'nan' WHEN 1 THEN 'inf' WHEN 2 THEN '-inf' WHEN 3 THEN NULL WHEN 4 THEN '-0.0'
    ELSE (i * 1e15 / 7)::VARCHAR END::DOUBLE AS real,
  CASE i % 10 WHEN 0 THEN 'nan' ELSE (i / 7)::VARCHAR END::FLOAT AS single,
  ['', ' a', 'x,y', 'say "hi"', 'two\\nlines', '中文 😀', NULL, '100%', E'\\x01\\t', 'NULL'][i % 10 + 1] AS words,
  CASE WHEN i % 2 = 0 THEN '\\x00\\xFFa'::BLOB END AS raw,
  CASE i % 9 WHEN 0 THEN 'infinity'::DATE WHEN 1 THEN NULL WHEN 2 THEN DATE '0044-03-15 (BC)'
    ELSE DATE '1900-01-01' + i::INTEGER END AS any_day,
  CASE i WHEN 3 THEN TIME '24:00:00' ELSE TIME '10:00:00' + INTERVAL (i * 1000) MICROSECONDS END AS clock,
  TIMESTAMP '1969-12-31 23:59:59.5' + INTERVAL (i * 250000) MICROSECONDS AS moment,
  make_timestamp_ns(1700000000000000000 + i) AS nanos,
  CASE WHEN i % 4 > 0 THEN TIMESTAMPTZ '2024-02-29 23:59:59.999999+08' + INTERVAL (i) MINUTES END AS instant,
  CASE WHEN i % 4 > 0 THEN [i, NULL, 9007199254740993] END AS list,
  {{'a': i, 'b': {{'c': '嵌套', 'd': (i / 3)::DECIMAL(9,3)}}}} AS struct,
  MAP {{'k' || (i % 3)::VARCHAR: [i]}} AS map,
  uuid() AS uuid,
  INTERVAL (i) DAYS AS span,
  i::INTEGER AS "limit",
  i::INTEGER AS "a.b %s"
FROM range({ROWS}) r(i)
"""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("products [1]")
    write_snapshot(store, "lab.types", TYPES, ["sec", "day"], "day")
    return store


@pytest.fixture(scope="session")
def readers(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    scratch = tmp_path_factory.mktemp("scratch")
    readers = Readers(store, scratch, memory_bytes=512 * 2**20, cache_bytes=8 * 2**20, threads=1)
    yield readers
    readers.close()


@pytest.fixture
def reader(readers: Readers) -> SnapshotReader:
    return readers.reader("lab.types", "snp_test")
