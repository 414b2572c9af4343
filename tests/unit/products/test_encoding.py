"""Five formats of the same rows: the same values and types, whatever the pages' size."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.unit.products.conftest import ROWS

from datacanal.formats.texts import csv_text, json_name, json_text
from datacanal.planning.quoting import glob_escaped, identifier, literal
from datacanal.products.cursor import Key
from datacanal.products.encoding import ArrowEncoder, Encoder, encoded, text_encoder, write_parquet
from datacanal.products.query import Query, parse_query
from datacanal.products.reading import Readers, SnapshotReader
from datacanal.products.reading_stop import Stop


class Oracle:
    """DuckDB over the snapshot's file, with the texts that `datacanal.formats` makes."""

    def __init__(self, store: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        file = literal(glob_escaped(str(store / "lab.types" / "snp_test" / "by_key.parquet")))
        self.connection.execute(f"CREATE VIEW rows AS FROM read_parquet({file}) ORDER BY sec, day")
        described = self.connection.execute("DESCRIBE rows").fetchall()
        self.columns = [(name, duckdb.sqltype(type_)) for name, type_, *_ in described]

    def lines(self, select: str) -> list[str]:
        return [line for (line,) in self.connection.execute(f"SELECT {select} FROM rows").fetchall()]

    def json(self) -> list[str]:
        members = [f"concat({json_name(n)}, {json_text(identifier(n), kind)})" for n, kind in self.columns]
        return self.lines(" || ',' || ".join(members))

    def csv(self) -> list[str]:
        return self.lines(" || ',' || ".join(csv_text(identifier(n), kind) for n, kind in self.columns))


@pytest.fixture
def oracle(store: Path) -> Iterator[Oracle]:
    oracle = Oracle(store)
    yield oracle
    oracle.connection.close()


def everything(reader: SnapshotReader, limit: int = ROWS, *params: tuple[str, str]) -> Query:
    return parse_query([("limit", str(limit)), *params], reader.manifest, ROWS)


def pages(reader: SnapshotReader, limit: int) -> Iterator[tuple[pa.Schema, list[pa.RecordBatch]]]:
    key: Key | None = None
    while True:
        page = reader.page(everything(reader, limit), key, Stop())
        yield page.schema, page.batches
        key = page.next_key
        if key is None:
            return


def whole(encoder: Encoder, batches: list[pa.RecordBatch]) -> bytes:
    content = b"".join(encoded(encoder, batches))
    assert (encoder.rows, encoder.written_bytes) == (sum(batch.num_rows for batch in batches), len(content))
    return content


SIZES = [ROWS, 2048, 777]


@pytest.mark.parametrize("size", SIZES)
def test_json_is_what_duckdb_writes_by_the_rules_of_types(
    reader: SnapshotReader, readers: Readers, oracle: Oracle, size: int
) -> None:
    rows: list[Any] = []
    for schema, batches in pages(reader, size):
        rows += json.loads(whole(text_encoder("json", schema, readers.texts), batches))
    assert rows == [json.loads("{" + line + "}") for line in oracle.json()]


@pytest.mark.parametrize("size", SIZES)
def test_ndjson_has_the_rows_of_json(reader: SnapshotReader, readers: Readers, oracle: Oracle, size: int) -> None:
    lines: list[bytes] = []
    for schema, batches in pages(reader, size):
        lines += whole(text_encoder("ndjson", schema, readers.texts), batches).splitlines(keepends=False)
    assert list(map(json.loads, lines)) == [json.loads("{" + line + "}") for line in oracle.json()]


@pytest.mark.parametrize("size", SIZES)
def test_csv_is_what_duckdb_writes_to_the_letter(
    reader: SnapshotReader, readers: Readers, oracle: Oracle, size: int
) -> None:
    found = ""
    for schema, batches in pages(reader, size):
        header, _, lines = whole(text_encoder("csv", schema, readers.texts), batches).decode().partition("\n")
        assert next(csv.reader(io.StringIO(header))) == [name for name, _ in oracle.columns]
        found += lines
    assert found == "".join(line + "\n" for line in oracle.csv())


@pytest.mark.parametrize("size", SIZES)
def test_arrow_has_duckdbs_types_and_values(reader: SnapshotReader, oracle: Oracle, size: int) -> None:
    expected = oracle.connection.sql("FROM rows").to_arrow_table()
    tables = []
    for schema, batches in pages(reader, size):
        tables.append(pa.ipc.open_stream(whole(ArrowEncoder(schema), batches)).read_all())
    found = pa.concat_tables(tables)
    assert found.schema.types == expected.schema.types
    oracle.connection.register("found", found)
    differing = "(FROM rows EXCEPT ALL FROM found) UNION ALL (FROM found EXCEPT ALL FROM rows)"
    assert oracle.connection.execute(f"SELECT count(*) FROM ({differing})").fetchall() == [(0,)]
    assert found.column("sec").to_pylist() == expected.column("sec").to_pylist()


def test_parquet_reads_as_the_snapshots_own_file(reader: SnapshotReader, oracle: Oracle, tmp_path: Path) -> None:
    [(schema, batches)] = pages(reader, ROWS)
    file = tmp_path / "rows.parquet"
    assert write_parquet(batches, schema, file) == ROWS
    written = f"read_parquet({literal(str(file))})"
    describe = "SELECT column_name, column_type FROM (DESCRIBE FROM {})"
    types = [oracle.connection.execute(describe.format(source)).fetchall() for source in ("rows", written)]
    assert types[0] == types[1]
    differing = f"(FROM rows EXCEPT ALL FROM {written}) UNION ALL (FROM {written} EXCEPT ALL FROM rows)"
    assert oracle.connection.execute(f"SELECT count(*) FROM ({differing})").fetchall() == [(0,)]


def test_an_arrow_streams_fields_hold_the_duckdb_types(reader: SnapshotReader, oracle: Oracle) -> None:
    page = reader.page(everything(reader, 10), None, Stop())
    stream = pa.ipc.open_stream(whole(ArrowEncoder(page.schema), page.batches))
    held = [(field.name, field.metadata[b"datacanal.type"].decode()) for field in stream.schema]
    assert held == [(name, str(kind)) for name, kind in oracle.columns]


def test_an_answer_without_rows_is_whole_in_every_format(reader: SnapshotReader, readers: Readers) -> None:
    page = reader.page(everything(reader, 10, ("sec", "none"), ("select", "sec,list")), None, Stop())
    assert whole(text_encoder("json", page.schema, readers.texts), page.batches) == b"[]"
    assert whole(text_encoder("ndjson", page.schema, readers.texts), page.batches) == b""
    assert whole(text_encoder("csv", page.schema, readers.texts), page.batches) == b'"sec","list"\n'
    stream = pa.ipc.open_stream(whole(ArrowEncoder(page.schema), page.batches))
    assert stream.read_all().num_rows == 0


def test_closing_metadata_reaches_whoever_reads_the_stream(reader: SnapshotReader) -> None:
    page = reader.page(everything(reader, 10), None, Stop())
    encoder = ArrowEncoder(page.schema)
    pieces = [encoder.begin(), *map(encoder.batch, page.batches), encoder.closing({"rows": "10"}), encoder.end()]
    stream = pa.ipc.open_stream(b"".join(pieces))
    found = list(stream.iter_batches_with_custom_metadata())
    assert (found[-1].batch.num_rows, found[-1].custom_metadata[b"rows"]) == (0, b"10")


def test_a_stream_that_breaks_is_not_taken_for_whole(reader: SnapshotReader) -> None:
    page = reader.page(everything(reader, 3000), None, Stop())
    encoder = ArrowEncoder(page.schema)
    broken = encoder.begin() + encoder.batch(page.batches[0]) + encoder.batch(page.batches[1])[:-100]
    with pytest.raises(OSError, match="Expected to be able to read"):
        pa.ipc.open_stream(broken).read_all()


def test_the_same_question_gives_the_same_bytes(reader: SnapshotReader, readers: Readers) -> None:
    answers = []
    for _ in range(2):
        page = reader.page(everything(reader, 2500), None, Stop())
        answers.append(
            [
                whole(encoder, page.batches)
                for encoder in (text_encoder("json", page.schema, readers.texts), ArrowEncoder(page.schema))
            ]
        )
    assert answers[0] == answers[1]
