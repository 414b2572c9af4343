"""Whether all servers answer the same: rows of every format in one form, and their hash."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Block, Day, Page, blocks, days, distinct_pages, zipf_pages
from tests.benchmarks.serving.servers import Server

_ARROW = {"VARCHAR": pa.string(), "DATE": pa.date32(), "DOUBLE": pa.float64(), "BIGINT": pa.int64()}
Question = Page | Day | Block


def differences(servers: Sequence[Server]) -> list[str]:
    """Who answers which question otherwise than the first server; empty where all agree."""
    told = []
    for question in _questions():
        hashes = {server.name: digest for server in servers if (digest := _digest(server, question))}
        told += [f"{name} answers {question} otherwise" for name in hashes if hashes[name] != hashes[servers[0].name]]
    return told


def _questions() -> list[Question]:
    pages = [*zipf_pages()[:5], *islice(distinct_pages(), 5)]
    return [*pages, *islice(days(), 3), next(blocks("arrow")), next(blocks("parquet"))]


def _digest(server: Server, question: Question) -> str | None:
    if (ask := _ask(server, question)) is None:
        return None
    answer = server.ask(ask)[2]
    if isinstance(question, Block):
        table = _table(answer, question.format)
        many, text = table.num_rows, _text(table)
    else:
        rows = server.rows(answer)
        many, text = len(rows), json.dumps([_plain(row) for row in rows]).encode()
    if many != question.rows:
        raise RuntimeError(f"{server.name} gave {many} rows instead of {question.rows}: {question}")
    return hashlib.sha256(text).hexdigest()


def _ask(server: Server, question: Question) -> Any:
    if isinstance(question, Page):
        return server.page(question)
    return server.day(question) if isinstance(question, Day) else server.block(question)


def _table(answer: bytes, format: str) -> pa.Table:  # noqa: A002  # the word of the field
    if format == "parquet":
        return pq.read_table(io.BytesIO(answer))
    return pa.ipc.open_stream(answer).read_all()


def _text(table: pa.Table) -> bytes:
    """The rows as CSV, by the types of our columns: what a column is called inside a format makes no difference."""
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in bars.COLUMNS.items()])
    sink = io.BytesIO()
    csv.write_csv(table.select(schema.names).cast(schema), sink)
    return sink.getvalue()


def _plain(row: dict[str, Any]) -> list[Any]:
    """The values in the order of our columns; 1 and 1.0 are one price."""
    return [float(row[name]) if kind == "DOUBLE" else row[name] for name, kind in bars.COLUMNS.items()]
