"""Whether all servers answer the same: rows of every format in one form, and their hash."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from datetime import date
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.benchmarks.serving import bars
from tests.benchmarks.serving.asking import Block, Day, Page, blocks, days, distinct_pages, zipf_pages
from tests.benchmarks.serving.servers import Server

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
    rows = _decoded(answer, question.format) if isinstance(question, Block) else server.rows(answer)
    if len(rows) != question.rows:
        raise RuntimeError(f"{server.name} gave {len(rows)} rows instead of {question.rows}: {question}")
    return hashlib.sha256(json.dumps([_plain(row) for row in rows]).encode()).hexdigest()


def _ask(server: Server, question: Question) -> Any:
    if isinstance(question, Page):
        return server.page(question)
    return server.day(question) if isinstance(question, Day) else server.block(question)


def _decoded(answer: bytes, format: str) -> list[dict[str, Any]]:  # noqa: A002  # the word of the field
    source = io.BytesIO(answer)
    table = pq.read_table(source) if format == "parquet" else pa.ipc.open_stream(source).read_all()
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _plain(row: dict[str, Any]) -> list[Any]:
    """The values in the order of our columns; numbers as their type says, days as text."""
    return [_value(row[name], kind) for name, kind in bars.COLUMNS.items()]


def _value(value: Any, kind: str) -> Any:
    if kind == "DOUBLE":
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
