"""DuckDB as a Python job has it: within its container, so the settings keep it tidy rather than shut in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from datacanal.formats.shapes import shaped
from datacanal.formats.sqltext import parsed_type, type_text
from datacanal.formats.types import ColumnarFormat
from datacanal.planning.quoting import literal
from datacanal.site.engine.job_cluster import JobSettings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TIDY = (
    "SET allow_community_extensions = false",
    "SET allow_unsigned_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET GLOBAL TimeZone = 'UTC'",
    "SET threads = 1",  # its default is the machine's processors, of which a container has a few
)


def own_connection(*, lossless: bool = False) -> DuckDBPyConnection:
    """A database in memory. `lossless` values leave it for Arrow so that DuckDB can read them back."""
    connection = duckdb.connect(":memory:")
    for statement in (*_TIDY, f"SET arrow_lossless_conversion = {lossless}"):
        connection.execute(statement)
    return connection


def users_connection(settings: JobSettings) -> DuckDBPyConnection:
    """One for the function itself: half of the driver's memory is DuckDB's, the other half Python's."""
    connection = own_connection()
    connection.execute(f"SET memory_limit = '{settings.memory_bytes // 2}B'")
    connection.execute(f"SET threads = {settings.threads}")
    connection.execute(f"SET temp_directory = {literal(str(Path(settings.directory, 'duckdb')))}")
    return connection


def arrow_types(types: Iterable[str], target: ColumnarFormat) -> list[pa.Field]:
    """What Arrow calls these DuckDB types in that format:."""
    casts = (shaped(f"CAST(NULL AS {type_text(kind)})", parsed_type(kind), target) for kind in types)
    selected = ", ".join(f"{cast} AS c{position}" for position, cast in enumerate(casts))
    with own_connection(lossless=target == "lossless") as connection:
        return list(connection.sql(f"SELECT {selected} WHERE false").to_arrow_table().schema)
