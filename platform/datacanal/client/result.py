"""A result while it arrives: a file-like stream that survives broken connections and checks that it got all of it."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pyarrow as pa

from datacanal.client.connection import Connection, Patience
from datacanal.domain.errors import RemoteError, ResultDamaged
from datacanal.protocol.public import ResultFormat

_BUFFER_BYTES = 2**20
_SHA256_TAG = re.compile(r'^"([0-9a-f]{64})"$')


class ResultStream(io.RawIOBase):
    """The bytes of a job's result in one format, in bounded memory.

    After a broken connection it goes on where it was (Range, If-Range). Raises `ResultDamaged` when the service then
    offers other bytes, fewer than it announced, or bytes that are not those of its ETag, the sha256 of all of them.
    """

    def __init__(self, connection: Connection, job: str, result_format: ResultFormat) -> None:
        self._connection = connection
        self._job = job
        self._format = result_format
        self._received = 0
        self._etag: str | None = None
        self._length: int | None = None
        self._digest = hashlib.sha256()
        self._chunks = self._arriving()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # collections.abc.Buffer begins with Python 3.12
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        target = memoryview(buffer).cast("B")
        taken = min(len(target), len(self._rest))
        target[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken

    def close(self) -> None:
        self._chunks.close()
        super().close()

    def _arriving(self) -> Generator[bytes, None, None]:
        patience: Patience | None = None
        while True:
            before = self._received
            try:
                yield from self._one_connection()
                return
            except (httpx.TransportError, RemoteError) as error:
                if isinstance(error, RemoteError) and not error.retriable:
                    raise
                # Each byte that arrives renews the patience: only a service that gives nothing is given up.
                if patience is None or self._received > before:
                    patience = self._connection.patience()
                if not patience.pause():
                    raise self._final(error) from None

    def _final(self, error: httpx.TransportError | RemoteError) -> Exception:
        return error if isinstance(error, RemoteError) else self._connection.unreachable(error)

    def _one_connection(self) -> Iterator[bytes]:
        headers = {"Range": f"bytes={self._received}-"} if self._received else {}
        if self._received and self._etag:
            headers["If-Range"] = self._etag
        query = {"format": self._format}
        with self._connection.stream(f"/v1/jobs/{self._job}/result", query=query, headers=headers) as answer:
            self._note(answer)
            for chunk in answer.iter_raw():
                self._received += len(chunk)
                self._digest.update(chunk)
                if chunk:
                    yield chunk
        self._check_whole()

    def _check_whole(self) -> None:
        if self._length is not None and self._received != self._length:
            raise ResultDamaged(job=self._job, reason=f"{self._received} of {self._length} bytes arrived")
        expected = _SHA256_TAG.match(self._etag or "")
        if expected and expected[1] != self._digest.hexdigest():
            raise ResultDamaged(job=self._job, reason="its bytes are not the ones that were announced")

    def _note(self, answer: httpx.Response) -> None:
        etag = answer.headers.get("ETag")
        if self._received == 0:
            self._etag = etag
            if "Content-Length" in answer.headers:
                self._length = int(answer.headers["Content-Length"])
        elif answer.status_code != httpx.codes.PARTIAL_CONTENT or etag != self._etag:
            raise ResultDamaged(job=self._job, reason="it changed while it was being fetched")


class ResultReader:
    """An Arrow result: its schema, and its batches as they arrive, one held at a time."""

    def __init__(self, connection: Connection, job: str) -> None:
        self._job = job
        self._file = io.BufferedReader(ResultStream(connection, job, "arrow"), _BUFFER_BYTES)
        try:
            with self._damage_named():
                self._reader = pa.ipc.open_stream(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ResultReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def schema(self) -> pa.Schema:
        """The columns, in the public types."""
        return self._reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with self._damage_named():
            yield from self._reader
            while self._file.read(_BUFFER_BYTES):  # what follows the last batch still counts for the length
                pass

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except pa.ArrowInvalid as error:
            raise ResultDamaged(job=self._job, reason=f"it is no whole Arrow stream ({error})") from None


def read_table(connection: Connection, job: str) -> pa.Table:
    """The whole result."""
    with ResultReader(connection, job) as reader:
        return pa.Table.from_batches(list(reader), reader.schema)
