"""Where a store is: a file of the home on the embedded database, a schema on PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EMBEDDED = "sqlite"
"""The database that needs no server; every other one is the address of a PostgreSQL."""


@dataclass(frozen=True)
class Place:
    """`file` is a name in the home directory. `migrations` is the same folder for both."""

    file: str
    schema: str
    migrations: Path
