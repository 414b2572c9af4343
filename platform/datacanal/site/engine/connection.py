"""Hardened DuckDB connections, one for each task, in the order of settings that the trust rules prescribe.

Opening a database costs 17 ms of a processor, a connection to one that is open 0.2 ms. So a database is opened ahead
with a stock of connections, each of which serves one task; nothing that a task's connection can do outlives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from datacanal.formats.closed import CLOSED
from datacanal.planning.quoting import identifier, literal, literals
from datacanal.site.engine.work import KernelSettings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_STOCK = 32
_OWN = ("memory", "system", "temp")


@dataclass(frozen=True)
class Limits:
    """What a database gives to each of its tasks; fixed with the first."""

    memory_bytes: int
    threads: int
    lossless: bool


class Connections:
    """In turn: `take`, the task, its connection closed, then `clean` or `spoil`. For one thread."""

    def __init__(self, settings: KernelSettings) -> None:
        self._settings = settings
        self._limits: Limits | None = None
        self._stock: list[DuckDBPyConnection] = []
        self._open()

    def take(self, limits: Limits) -> DuckDBPyConnection:
        """A connection that no task has used, with its configuration locked; nothing of a user's ran on it."""
        if self._limits not in (None, limits):
            self.spoil()
        self.renew()
        if self._limits is None:
            _lock(self._database, limits)
            self._limits = limits
        return self._stock.pop()

    def clean(self) -> None:
        """After a task that went well: drop every catalog that it had."""
        found = self._database.execute("SELECT database_name FROM duckdb_databases()").fetchall()
        for (name,) in found:
            if name not in _OWN:
                self._database.execute(f"DETACH DATABASE {identifier(name)}")

    def spoil(self) -> None:
        """Let no later task have a connection to this database."""
        for connection in self._stock:
            connection.close()
        self._stock = []

    def renew(self) -> None:
        """Open a new database where the old one is used up; call it while nobody waits."""
        if not self._stock:
            self._database.close()
            self._open()

    def close(self) -> None:
        """End everything."""
        self.spoil()
        self._database.close()

    def _open(self) -> None:
        self._limits = None
        self._database = duckdb.connect(":memory:")
        for statement in _hardening(self._settings):
            self._database.execute(statement)
        self._stock = [self._connection() for _ in range(_STOCK)]

    def _connection(self) -> DuckDBPyConnection:
        """These two settings are a connection's own; they must be made before the configuration is locked."""
        connection = self._database.cursor()
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_profiling = 'no_output'")
        return connection


def _lock(database: DuckDBPyConnection, limits: Limits) -> None:
    """Nothing of a user's may run before this."""
    database.execute(f"SET arrow_lossless_conversion = {limits.lossless}")
    database.execute(f"SET memory_limit = '{limits.memory_bytes}B'")
    database.execute(f"SET threads = {limits.threads}")
    database.execute("SET lock_configuration = true")


def _hardening(settings: KernelSettings) -> list[str]:
    allowed = literals([*settings.readable, settings.scratch])
    return [
        *CLOSED,
        f"SET memory_limit = '{settings.memory_bytes}B'",
        f"SET threads = {settings.threads}",
        f"SET temp_directory = {literal(settings.spill)}",
        f"SET max_temp_directory_size = '{settings.spill_bytes}B'",
        # A later task must read the files that it was pinned to, not what an earlier one kept of them.
        "SET enable_external_file_cache = false",
        f"SET allowed_directories = {allowed}",
        "SET enable_external_access = false",
    ]
