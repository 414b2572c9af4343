"""`datacanal dataset import`: raw files into a lake, at the site itself; nothing passes the control plane."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from datacanal.cli.text import bytes_text, visible
from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadField
from datacanal.site.importing.importer import ImportReport, import_file
from datacanal.site.importing.options import ImportOptions


class Form(StrEnum):
    """What raw files look like."""

    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"


class Packing(StrEnum):
    """How they are compressed."""

    AUTO = "auto"
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


def add_to(group: typer.Typer) -> None:
    """The command, in the group `dataset`."""
    group.command("import")(import_dataset)


def import_dataset(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="CSV, NDJSON or JSON; several are one each.")],
    lake: Annotated[str, typer.Option("--lake", help="A lake of the configuration.")],
    name: Annotated[str, typer.Option("--name", help="The dataset; made when it is new, else rows are added.")],
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.")] = Path(
        "datacanal.toml"
    ),
    form: Annotated[Form | None, typer.Option("--format", help="Default: by the file's name.")] = None,
    compression: Annotated[Packing, typer.Option("--compression", help="auto: by the file's name.")] = Packing.AUTO,
    encoding: Annotated[str, typer.Option("--encoding", help="For instance utf-8, gb18030, cp1250.")] = "utf-8",
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="CSV; default: found out.")] = None,
    quote: Annotated[str | None, typer.Option("--quote", help="CSV; default: found out.")] = None,
    escape: Annotated[str | None, typer.Option("--escape", help="CSV; default: found out.")] = None,
    header: Annotated[bool | None, typer.Option("--header/--no-header", help="CSV; default: found out.")] = None,
    null: Annotated[list[str] | None, typer.Option("--null", help="A text that means NULL; repeatable.")] = None,
    decimal: Annotated[str | None, typer.Option("--decimal", help="CSV: the decimal separator.")] = None,
    date_format: Annotated[str | None, typer.Option("--date-format", help="As for strptime: %d.%m.%Y")] = None,
    timestamp_format: Annotated[str | None, typer.Option("--timestamp-format", help="As for strptime.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", metavar="COLUMN=TYPE", help="Repeatable.")] = None,
) -> None:
    """Write files into a dataset as Parquet, each whole or not at all. Runs at the site; the service may be up."""
    options = ImportOptions(
        format=None if form is None else form.value,
        compression=compression.value,
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        header=header,
        null=tuple(null or ()),
        decimal=decimal,
        date_format=date_format,
        timestamp_format=timestamp_format,
        types=parse_types(types or []),
    )
    configuration = load_configuration(config)
    for file in files:
        print(_report_text(import_file(configuration, file, lake, name, options)))


def parse_types(given: list[str]) -> dict[str, str]:
    """`COLUMN=TYPE` texts as a mapping. Raises `BadField`."""
    types: dict[str, str] = {}
    for text in given:
        column, equals, kind = text.rpartition("=")
        if not equals or not column or not kind.strip():
            raise BadField(field="--type", reason=f"write --type COLUMN=TYPE, not {text!r}")
        types[column] = kind.strip()
    return types


def _report_text(report: ImportReport) -> str:
    verb = "made" if report.is_new else "added to"
    return visible(f"{verb} {report.dataset}: {report.rows:,} rows, {bytes_text(report.bytes)}, {report.path}")
