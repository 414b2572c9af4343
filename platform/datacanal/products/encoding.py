"""An answer's rows in the five formats, each written batch by batch from the same Arrow batches.

`begin`, `batch` and `end` give the bytes to send in that order; `rows` and `written_bytes` count what was given so far.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from datacanal.formats.types import TYPE_KEY
from datacanal.products.encoding_texts import Texts

TextFormat = Literal["json", "ndjson", "csv"]


class Encoder(Protocol):
    """One answer in one format."""

    rows: int
    written_bytes: int

    def begin(self) -> bytes:
        """What stands before the first row."""

    def batch(self, batch: pa.RecordBatch) -> bytes:
        """The batch's rows."""

    def end(self) -> bytes:
        """What stands after the last row; without it, nobody can take the answer for whole."""


class _TextEncoder:
    def __init__(self, schema: pa.Schema, texts: Texts) -> None:
        self.rows = 0
        self.written_bytes = 0
        self._schema = schema
        self._texts = texts

    def begin(self) -> bytes:
        return self._counted("")

    def batch(self, batch: pa.RecordBatch) -> bytes:
        content = self._lines(batch)
        self.rows += batch.num_rows
        return self._counted(content)

    def end(self) -> bytes:
        return self._counted("")

    def _lines(self, batch: pa.RecordBatch) -> str:
        raise NotImplementedError

    def _counted(self, text: str) -> bytes:
        content = text.encode()
        self.written_bytes += len(content)
        return content


class NdjsonEncoder(_TextEncoder):
    """One object a line. The record that ends a stream is its sender's."""

    def __init__(self, schema: pa.Schema, texts: Texts) -> None:
        super().__init__(schema, texts)
        names = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in schema.names]
        self._form = "{" + ",".join(f"{name}:%s" for name in names) + "}"

    def _lines(self, batch: pa.RecordBatch) -> str:
        return "".join(line + "\n" for line in self._objects(batch))

    def _objects(self, batch: pa.RecordBatch) -> Iterator[str]:
        values = [self._texts.json(column, type_of(field)) for column, field in _paired(batch, self._schema)]
        return map(self._form.__mod__, zip(*values, strict=True))


class JsonEncoder(NdjsonEncoder):
    """An array of row objects, without spaces: the `data` of an answer."""

    def begin(self) -> bytes:
        return self._counted("[")

    def _lines(self, batch: pa.RecordBatch) -> str:
        between = "," if self.rows and batch.num_rows else ""
        return between + ",".join(self._objects(batch))

    def end(self) -> bytes:
        return self._counted("]")


class CsvEncoder(_TextEncoder):
    """A header of quoted names and one line a row."""

    def begin(self) -> bytes:
        names = ",".join('"' + name.replace('"', '""') + '"' for name in self._schema.names)
        return self._counted(names + "\n")

    def _lines(self, batch: pa.RecordBatch) -> str:
        fields = [self._texts.csv(column, type_of(field)) for column, field in _paired(batch, self._schema)]
        return "".join(",".join(row) + "\n" for row in zip(*fields, strict=True))


class ArrowEncoder:
    """An Arrow IPC stream, not compressed; its fields' metadata hold the DuckDB types."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self.written_bytes = 0
        self._schema = schema
        self._sink = _Sink()
        self._stream = pa.ipc.new_stream(self._sink, schema)

    def begin(self) -> bytes:
        return self._drained()

    def batch(self, batch: pa.RecordBatch) -> bytes:
        self._stream.write_batch(batch)
        self.rows += batch.num_rows
        return self._drained()

    def closing(self, metadata: Mapping[str, str]) -> bytes:
        """A batch without rows that carries the metadata; `end` follows."""
        empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in self._schema], schema=self._schema)
        self._stream.write_batch(empty, custom_metadata=dict(metadata))
        return self._drained()

    def end(self) -> bytes:
        self._stream.close()
        return self._drained()

    def _drained(self) -> bytes:
        content = self._sink.drained()
        self.written_bytes += len(content)
        return content


def write_parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """A zstd Parquet file of the rows; gives how many."""
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def encoded(encoder: Encoder, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The whole answer, piece by piece."""
    yield encoder.begin()
    for batch in batches:
        yield encoder.batch(batch)
    yield encoder.end()


def text_encoder(format_: TextFormat, schema: pa.Schema, texts: Texts) -> Encoder:
    """The encoder of a format of text."""
    encoders: dict[TextFormat, type[_TextEncoder]] = {"json": JsonEncoder, "ndjson": NdjsonEncoder, "csv": CsvEncoder}
    return encoders[format_](schema, texts)


def type_of(field: pa.Field) -> str:
    """The field's DuckDB type."""
    return str(field.metadata[TYPE_KEY].decode())


def _paired(batch: pa.RecordBatch, schema: pa.Schema) -> Sequence[tuple[pa.Array, pa.Field]]:
    return list(zip(batch.columns, schema, strict=True))


class _Sink(io.RawIOBase):
    """Takes what a writer writes, until somebody takes it away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        piece = bytes(memoryview(content))  # type: ignore[arg-type]  # pyarrow hands over buffers
        self._pieces.append(piece)
        return len(piece)

    def drained(self) -> bytes:
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content
