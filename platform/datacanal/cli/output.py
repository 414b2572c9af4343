"""A finished job's result, as a table for people or as bytes for programs, to stdout or into a file."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from datacanal.cli.cells import column_texts, is_number
from datacanal.cli.text import table_lines
from datacanal.client import Job
from datacanal.client.download import atomic_file
from datacanal.domain.errors import BadField
from datacanal.protocol.public import ResultFormat

TABLE_ROWS = 100
_CHUNK_BYTES = 2**20


class Format(StrEnum):
    """`table` is for people; the others are what the service writes."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


FormatOption = Annotated[Format | None, typer.Option("--format", help="Default: by the suffix of -o, else table.")]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file, all of it or nothing.")]
StatsOption = Annotated[Path | None, typer.Option("--stats", help="Write the job's statistics to this file, as JSON.")]


def chosen_format(asked: Format | None, output: Path | None) -> Format:
    """The format that was asked for, or that the file's suffix names. Refuses binary formats on a terminal."""
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    chosen = asked or (Format(suffix) if suffix in list(Format) else Format.TABLE)
    if output is None and chosen in (Format.ARROW, Format.PARQUET) and sys.stdout.isatty():
        raise BadField(field="--format", reason=f"{chosen} is binary and stdout is a terminal; add -o FILE")
    return chosen


def put_result(job: Job, chosen: Format, output: Path | None) -> None:
    """Fetch the result of a succeeded job and put it where it belongs; stderr says where groups are missing from it."""
    if chosen is Format.TABLE:
        _put_table(job, output)
    elif output is not None:
        job.result_to(output, _wire_format(chosen))
    else:
        _stream_to_stdout(job, _wire_format(chosen))
    result = job.view.result
    if result and result.withheld_groups:
        print(withheld_text(result.withheld_groups), file=sys.stderr)


def withheld_text(groups: int) -> str:
    """That groups are missing from a result, and why."""
    missing = f"{groups:,} group{'s' if groups > 1 else ''} withheld by an owner's policy"
    return f"{missing}: too small, or too close to an earlier answer"


def put_stats(job: Job, file: Path) -> None:
    """The statistics document of a finished job."""
    with atomic_file(file) as out:
        out.write(job.stats.model_dump_json(by_alias=True, indent=2).encode() + b"\n")


def result_lines(table: pa.Table, total_rows: int, width: int | None) -> list[str]:
    """The rows as a table, and how many more there are."""
    columns = [column_texts(column) for column in table.columns]
    right = [is_number(field.type) for field in table.schema]
    lines = table_lines(table.column_names, list(zip(*columns, strict=True)), right=right, width=width)
    hidden = total_rows - table.num_rows
    if hidden > 0:
        lines.append(f"… {hidden:,} more row{'s' if hidden > 1 else ''} (-o FILE, or --format, gives all)")
    return lines


def _put_table(job: Job, output: Path | None) -> None:
    table = job.head(TABLE_ROWS)
    result = job.view.result
    total = result.rows if result else table.num_rows
    if output is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(result_lines(table, total, width)))
        return
    with atomic_file(output) as file:
        file.write(("\n".join(result_lines(table, total, None)) + "\n").encode("utf-8", "backslashreplace"))


def _stream_to_stdout(job: Job, result_format: ResultFormat) -> None:
    with job.download(result_format) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _wire_format(chosen: Format) -> ResultFormat:
    formats: dict[Format, ResultFormat] = {
        Format.JSON: "json", Format.CSV: "csv", Format.ARROW: "arrow", Format.PARQUET: "parquet",
    }  # fmt: skip
    return formats[chosen]
