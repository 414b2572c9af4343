"""Rows as the body of an answer: the JSON envelope, streams that say where they end, files that are sent whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from datacanal.domain.errors import OutOfMemory
from datacanal.domain.product_errors import SnapshotGone
from datacanal.domain.usage import Dimension
from datacanal.gateway.asked import Asked
from datacanal.gateway.documents import moment, newest_session
from datacanal.gateway.negotiation import Format
from datacanal.products.cursor import Cursors
from datacanal.products.encoding import ArrowEncoder, Encoder, text_encoder, write_parquet
from datacanal.products.encoding_texts import Texts
from datacanal.products.reading import Readers, SnapshotReader
from datacanal.products.reading_stop import Stop

END_KEY = "datacanal.end"
"""The metadata of an Arrow stream's last batch, which has no rows: `{rows, bytes, units, next, snapshot}` as JSON."""
_FILE_PIECE_BYTES = 1 << 20


class Kitchen:
    """Makes productions over the snapshots of a store. `scratch` is for files that are sent whole."""

    def __init__(self, readers: Readers, cursors: Cursors, scratch: Path) -> None:
        self.readers = readers
        self._cursors = cursors
        self._scratch = scratch

    def produce(self, asked: Asked) -> Rows:
        """The answer, not begun yet. Raises `SnapshotGone`."""
        reader = self.reader(asked)
        given = asked, reader, self.readers.texts, self._cursors
        match asked.format:
            case Format.JSON:
                return _Json(*given)
            case Format.NDJSON:
                return _Ndjson(*given)
            case Format.ARROW:
                return _Arrow(*given)
            case Format.CSV:
                return _Csv(self._scratch, *given)
        return _Parquet(self._scratch, *given)

    def reader(self, asked: Asked) -> SnapshotReader:
        """The opened snapshot. Raises `SnapshotGone`."""
        try:
            return self.readers.reader(asked.product, asked.release.snapshot)
        except FileNotFoundError:
            raise SnapshotGone(snapshot=asked.release.snapshot, product=asked.product) from None


class Rows:
    """One answer. Formats differ in `pieces`."""

    size_bytes: int | None = None

    def __init__(self, asked: Asked, reader: SnapshotReader, texts: Texts, cursors: Cursors) -> None:
        self._asked = asked
        self._texts = texts
        self._cursors = cursors
        self._reader = reader
        self._stop = Stop()
        self._walk = reader.walk(asked.query, asked.after, self._stop)
        self._bytes = 0

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece, to be taken once."""
        raise NotImplementedError

    def told(self) -> tuple[int, int, str | None]:
        """Rows, bytes and next page."""
        return self._walk.rows, self._bytes, self._asked.next_path(self._cursors, self._walk.next_key)

    def most_rows(self) -> int:
        """By the filters and the limit; rows before a cursor are counted too."""
        with named_failures(self._asked, self._reader):
            return min(self._asked.query.limit, self._reader.count(self._asked.query, self._stop))

    def interrupt(self) -> None:
        """Stop what is being computed."""
        self._stop.set()

    def close(self) -> None:
        """Let go of everything."""
        self._stop.set()

    def _encoded(self, encoder: Encoder) -> Iterator[bytes]:
        """Everything up to the last row."""
        with named_failures(self._asked, self._reader):
            yield encoder.begin()
            for batch in self._walk:
                body = encoder.batch(batch)
                self._bytes = encoder.written_bytes
                yield body

    def _end(self) -> dict[str, Any]:
        rows, size, following = self.told()
        return {**self._usage(rows, size), "next": following, "snapshot": self._asked.release.snapshot}

    def _usage(self, rows: int, size: int) -> dict[str, Any]:
        return {"rows": rows, "bytes": size, "units": units_in(self._asked.unit, rows, size)}


class _Json(Rows):
    def pieces(self) -> Iterator[bytes]:
        encoder = text_encoder("json", self._walk.schema, self._texts)
        yield b'{"meta":' + _json(self._meta()) + b',"data":'
        yield from self._encoded(encoder)
        end = encoder.end()
        self._bytes = encoder.written_bytes
        rows, size, following = self.told()
        page, usage = {"next": following}, {"calls": 1, **self._usage(rows, size)}
        yield end + b',"page":' + _json(page) + b',"usage":' + _json(usage) + b"}\n"

    def _meta(self) -> dict[str, Any]:
        release, manifest = self._asked.release, self._asked.release.manifest
        types = {column.name: column.type for column in manifest.columns}
        return {
            "product": self._asked.product,
            "version": release.version,
            "snapshot": release.snapshot,
            "as_of": moment(release.served_at),
            "columns": [{"name": name, "type": types[name]} for name in self._asked.query.select],
            "condition": {"sessions": len(manifest.sessions), "newest_session": newest_session(manifest)},
        }


class _Ndjson(Rows):
    def pieces(self) -> Iterator[bytes]:
        yield from self._encoded(text_encoder("ndjson", self._walk.schema, self._texts))
        yield _json({"end": self._end()}) + b"\n"


class _Arrow(Rows):
    def pieces(self) -> Iterator[bytes]:
        encoder = ArrowEncoder(self._walk.schema)
        yield from self._encoded(encoder)
        self._bytes = encoder.written_bytes
        yield encoder.closing({END_KEY: _json(self._end()).decode()}) + encoder.end()


class _Filed(Rows):
    """A body that is written whole into a file without a name before its first piece is given."""

    def __init__(self, scratch: Path, *rows: Any) -> None:
        super().__init__(*rows)
        self._scratch = scratch

    def pieces(self) -> Iterator[bytes]:
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            self._write(file)
            self._bytes = self.size_bytes = file.seek(0, 2)
            file.seek(0)
            while piece := file.read(_FILE_PIECE_BYTES):
                self._stop.check()
                yield piece

    def most_rows(self) -> int:
        """Exactly: all of them are written."""
        return self._walk.rows

    def _write(self, file: Any) -> None:
        raise NotImplementedError


class _Csv(_Filed):
    def _write(self, file: Any) -> None:
        for piece in self._encoded(text_encoder("csv", self._walk.schema, self._texts)):
            file.write(piece)


class _Parquet(_Filed):
    def _write(self, file: Any) -> None:
        with named_failures(self._asked, self._reader):
            write_parquet(self._walk, self._walk.schema, file)


def units_in(unit: Dimension | None, rows: int, size: int) -> int | None:
    """What a page of so many rows and bytes comes to in that unit: nothing where it is free.

    None for time: it belongs to a call, and a page to many of them.
    """
    match unit:
        case None:
            return 0
        case Dimension.CALLS:
            return 1
        case Dimension.ROWS:
            return rows
        case Dimension.BYTES:
            return size
    return None


@contextmanager
def named_failures(asked: Asked, reader: SnapshotReader) -> Iterator[None]:
    """What reading fails with, as the caller should know it: a snapshot may be retired under its last readers."""
    try:
        yield
    except (FileNotFoundError, duckdb.IOException):
        if reader.is_there:
            raise
        raise SnapshotGone(snapshot=asked.release.snapshot, product=asked.product) from None
    except duckdb.OutOfMemoryException:
        raise OutOfMemory from None


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
