"""What DuckDB and the system raise, as errors of the one tree. The engine's words may quote rows: they stay out."""

from __future__ import annotations

import errno

import duckdb

from datacanal.domain.errors import DatacanalError
from datacanal.domain.product_errors import BuildFailed, BuildOutOfDisk, BuildOutOfMemory

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_MEMORY = ("bad_alloc", "bad allocation", "MemoryError")


def failure_of(error: Exception, memory_bytes: int) -> DatacanalError:
    """The error that stands for it."""
    said = str(error)
    if isinstance(error, DatacanalError):
        return error
    if "max_temp_directory_size" in said or "No space left" in said or _is_full(error):
        return BuildOutOfDisk()
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError) or any(words in said for words in _NO_MEMORY):
        return BuildOutOfMemory(limit_bytes=memory_bytes)
    return BuildFailed(reason=f"the engine stopped with {type(error).__name__}")


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL
