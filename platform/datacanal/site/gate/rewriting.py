"""An output without the groups that are withheld, in place of the one that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from datacanal.site.engine.output import OutputFile
from datacanal.site.gate.suppression import Flags


@dataclass(frozen=True)
class Remaining:
    """What the file holds now; `digest` is its sha256, hex."""

    rows: int
    bytes: int
    digest: str


def first_columns(file: Path, count: int) -> Sequence[Any]:
    """The output's first columns: the groups of an aggregate."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
        table = stream.read_all()
    return [table.column(position) for position in range(count)]


def rewrite(file: Path, withheld: Flags) -> Remaining:
    """Take the withheld rows out. The schema stays as it is, metadata included."""
    with OutputFile(file, None) as output:
        rows = _copy(file, output, ~withheld)
        output.commit()
        return Remaining(rows, output.bytes, output.digest)


def _copy(file: Path, output: OutputFile, kept: Flags) -> int:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    seen = rows = 0
    with (
        pa.memory_map(str(file)) as source,
        pa.ipc.open_stream(source) as stream,
        pa.ipc.new_stream(output, stream.schema, options=options) as written,
    ):
        for batch in stream:
            part = batch.filter(pa.array(kept[seen : seen + batch.num_rows]))
            seen += batch.num_rows
            rows += part.num_rows
            written.write_batch(part)
    return rows
