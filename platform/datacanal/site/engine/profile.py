"""What a statement cost, from DuckDB's own profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def scanned_bytes(connection: DuckDBPyConnection) -> int:
    """Bytes that the connection's latest statement read from files.

    DuckDB has no profile of a statement that it answered from Parquet footers alone: that one scanned nothing.
    """
    profile = json.loads(connection.get_profiling_information("json"))
    return int(profile.get("io", {}).get("total_bytes_read", 0))
