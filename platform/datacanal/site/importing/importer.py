"""Import a raw file into a dataset of a directory lake, at the site, without the service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from datacanal.configuration import Configuration, LakeSection
from datacanal.domain.errors import BadConfiguration, ImportRefused, LakeUnreadable
from datacanal.domain.ids import RANDOM_BYTES, new_id
from datacanal.planning.quoting import identifier, literal
from datacanal.site.importing.options import ImportOptions
from datacanal.site.importing.reading import Reader, Schema, checked_types
from datacanal.site.importing.source import open_source
from datacanal.site.importing.target import Target, agreed, kept_type, open_target, publish, staging

_ROW_GROUP_ROWS = 122_880
_MEMORY = "1GiB"


@dataclass(frozen=True)
class ImportReport:
    """What was written: `path` is the new Parquet file, `columns` are name and DuckDB type."""

    dataset: str
    path: Path
    rows: int
    bytes: int
    columns: tuple[tuple[str, str], ...]
    is_new: bool


def import_file(configuration: Configuration, file: Path, lake: str, name: str, options: ImportOptions) -> ImportReport:
    """Write the file's rows as one more Parquet file of the dataset, or nothing.

    Raises `ImportRefused` naming file, line and reason, `BadConfiguration` or `LakeUnreadable`.
    """
    root = _lake(configuration, lake).path
    import_id = new_id("imp", datetime.now(UTC), os.urandom(RANDOM_BYTES))
    given = checked_types(str(file), options.types)
    file_format = options.format_of(file)
    try:
        with staging(root, import_id) as folder, _connection(folder) as connection:
            target = open_target(lake, root, name, connection)
            reader = Reader(connection, open_source(file, options, folder), file_format, options)
            return _imported(reader, target, given, folder / "rows", f"{import_id}.parquet")
    except OSError as error:
        raise LakeUnreadable(lake=lake, url=root.as_uri(), reason=str(error)) from None


def _lake(configuration: Configuration, name: str) -> LakeSection:
    for site in configuration.sites:
        for lake in site.lakes:
            if lake.name == name and lake.is_products:
                hint = "Run a job over what you have, and publish its result."
                raise ImportRefused(file=name, reason="data products are published, not imported", hint=hint)
            if lake.name == name:
                return lake
    raise BadConfiguration(file=str(configuration.file), key="sites.lakes", reason=f"there is no lake {name!r}")


def _connection(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(folder / "spill")})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _imported(reader: Reader, target: Target, given: Schema, rows_file: Path, name: str) -> ImportReport:
    found = reader.sniff(given)
    schema = agreed(str(reader.source.file), target, found, given)
    rows = reader.run(_copy(reader.relation(schema), schema, rows_file))
    columns = _written(reader, schema, rows_file)
    path = publish(rows_file, target, name)
    return ImportReport(
        dataset=f"{target.lake}.{target.name}",
        path=path,
        rows=rows,
        bytes=path.stat().st_size,
        columns=tuple(columns.items()),
        is_new=not target.columns,
    )


def _copy(relation: str, schema: Schema, file: Path) -> str:
    columns = ", ".join(
        f"CAST({identifier(column)} AS {kept_type(kind)}) AS {identifier(column)}" for column, kind in schema.items()
    )
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP_ROWS}"
    return f"COPY (FROM {relation} SELECT {columns}) TO {literal(str(file))} ({options})"


def _written(reader: Reader, schema: Schema, file: Path) -> Schema:
    """What the Parquet file holds. Raises `ImportRefused` where a type came out as another."""
    rows = reader.connection.execute("DESCRIBE SELECT * FROM read_parquet($file)", {"file": str(file)}).fetchall()
    written = {str(name): str(kind) for name, kind, *_ in rows}
    for column, kind in schema.items():
        if kept_type(kind) != written[column]:
            raise ImportRefused(
                file=str(reader.source.file),
                reason=f"column {column!r}: Parquet would turn {kind} into {written[column]}",
                hint=f"Give --type {column}={written[column]} if that is meant.",
            )
    return written
