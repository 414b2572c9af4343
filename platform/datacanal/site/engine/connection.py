"""A hardened DuckDB connection for one task, in the order of settings that the trust rules prescribe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from datacanal.planning.quoting import literal, literals
from datacanal.site.engine.work import KernelSettings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def open_connection(settings: KernelSettings) -> DuckDBPyConnection:
    """A fresh connection, hardened but not locked yet; 17 ms, so it is opened ahead of its task."""
    connection = duckdb.connect(":memory:")
    for statement in _hardening(settings):
        connection.execute(statement)
    return connection


def lock(connection: DuckDBPyConnection, memory_bytes: int, threads: int, *, lossless: bool) -> None:
    """Give the task its limits and lock the configuration; nothing of a user's may run before this."""
    connection.execute(f"SET arrow_lossless_conversion = {lossless}")
    connection.execute(f"SET memory_limit = '{memory_bytes}B'")
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET lock_configuration = true")


def _hardening(settings: KernelSettings) -> list[str]:
    allowed = literals([*settings.readable, settings.scratch])
    return [
        "SET python_enable_replacements = false",
        "SET allow_community_extensions = false",
        "SET allow_unsigned_extensions = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        f"SET memory_limit = '{settings.memory_bytes}B'",
        f"SET threads = {settings.threads}",
        "SET allow_persistent_secrets = false",
        f"SET temp_directory = {literal(settings.spill)}",
        f"SET max_temp_directory_size = '{settings.spill_bytes}B'",
        "SET TimeZone = 'UTC'",
        "SET enable_profiling = 'no_output'",
        f"SET allowed_directories = {allowed}",
        "SET enable_external_access = false",
    ]
