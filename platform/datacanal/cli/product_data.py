"""`datacanal product get`: rows of a product, as a developer calls it, to stdout or into a file."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import pyarrow as pa
import typer

from datacanal.cli.output import TABLE_ROWS, Format, FormatOption, OutputOption, chosen_format, result_lines
from datacanal.cli.session import connect
from datacanal.client.download import atomic_file
from datacanal.client.product import Pairs, Product
from datacanal.domain.errors import BadField

Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]
Filters = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILTER", help="column=value, column=one,other or column.gte=value; all of them hold."),
]


def add_to(group: typer.Typer) -> None:
    """The command."""
    group.command("get")(get)


def get(
    name: Name,
    filters: Filters = None,
    select: Annotated[str | None, typer.Option("--select", help="Columns, separated by commas; else all.")] = None,
    order: Annotated[str | None, typer.Option("--order", help="Columns of the key; -column descends.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows; else all, or 100 as a table.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="INSTANT", help="What was stable then.")] = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", metavar="ID", help="This snapshot.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="stable or canary.")] = None,
    asked: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Call a data product at the gateway (DATACANAL_GATEWAY)."""
    chosen = chosen_format(asked, output)
    query = [*_pairs(filters or []), *((key, text) for key, text in (("select", select), ("order", order)) if text)]
    with connect() as client:
        product = client.product(name, as_of=as_of, snapshot=snapshot, channel=channel)
        if chosen is Format.TABLE:
            _put_table(product, query, limit, output)
            return
        pages = _PAGES[chosen](product, query, limit)
        first = next(pages)  # what is refused is told before there is a file
        with _opened(output) as file:
            for part in itertools.chain([first], pages):
                file.write(part)


def _pairs(filters: list[str]) -> list[tuple[str, str]]:
    """The parameters as they were written: commas and quotes are the gateway's to read."""
    for text in filters:
        if not text.partition("=")[0] or "=" not in text:
            raise BadField(field=text, reason="write column=value or column.operator=value")
    return [(name, value) for name, _, value in (text.partition("=") for text in filters)]


def _put_table(product: Product, query: Pairs, limit: int | None, output: Path | None) -> None:
    shown = min(limit or TABLE_ROWS, TABLE_ROWS)
    page = next(product.walk(query, limit=shown))
    width = shutil.get_terminal_size().columns if output is None and sys.stdout.isatty() else None
    lines = result_lines(page.rows, page.rows.num_rows, width)
    if page.next is not None and (limit is None or limit > shown):
        lines.append("… more rows (--limit, -o FILE, or --format)")
    with _opened(output) as file:
        file.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))


def _arrow(product: Product, query: Pairs, limit: int | None) -> Iterator[bytes]:
    sink = _Taken()
    writer: pa.RecordBatchWriter | None = None
    for page in product.walk(query, limit=limit):
        writer = writer or pa.ipc.new_stream(sink, page.rows.schema)
        writer.write_table(page.rows)
        yield sink.taken()
    if writer is not None:
        writer.close()
    yield sink.taken()


def _parquet(product: Product, query: Pairs, limit: int | None) -> Iterator[bytes]:
    # Only those who ask for Parquet pay for loading this part of pyarrow.
    import pyarrow.parquet as pq

    sink = _Taken()
    writer: pq.ParquetWriter | None = None
    for page in product.walk(query, limit=limit):
        writer = writer or pq.ParquetWriter(sink, page.rows.schema, compression="zstd")
        writer.write_table(page.rows)
        yield sink.taken()
    if writer is not None:
        writer.close()
    yield sink.taken()


def _csv(product: Product, query: Pairs, limit: int | None) -> Iterator[bytes]:
    """The header of the first page stands for all."""
    header: bytes | None = None
    for body in product.bodies("text/csv", query, limit=limit):
        yield body if header is None else body.removeprefix(header)
        header = header or _first_record(body)


def _first_record(text: bytes) -> bytes:
    """Up to the first newline that stands in no quotes."""
    end = 0
    while end := text.find(b"\n", end) + 1:
        if text.count(b'"', 0, end) % 2 == 0:
            return text[:end]
    return text


def _json(product: Product, query: Pairs, limit: int | None) -> Iterator[bytes]:
    """An array of rows, each on a line of its own."""
    before = b"[\n"
    for body in product.bodies("application/json", query, limit=limit):
        rows = [json.dumps(row, ensure_ascii=False).encode() for row in json.loads(body)["data"]]
        yield before + b",\n".join(rows) if rows else b""
        before = b",\n" if rows else before
    yield b"\n]\n" if before == b",\n" else b"[]\n"


_PAGES: dict[Format, Callable[[Product, Pairs, int | None], Iterator[bytes]]] = {
    Format.ARROW: _arrow, Format.PARQUET: _parquet, Format.CSV: _csv, Format.JSON: _json,
}  # fmt: skip


class _Taken(io.RawIOBase):
    """A file whose content is carried away while it is written."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, content: Any) -> int:
        self._held += content
        self._at += len(content)
        return len(content)

    def taken(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is not None:
        with atomic_file(output) as file:
            yield file
        return
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
