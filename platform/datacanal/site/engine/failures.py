"""The engine's exceptions as errors of the one tree. The engine's words may quote data: they stay out of the error."""

from __future__ import annotations

import errno
import re

import duckdb

from datacanal.domain.errors import (
    ConversionFailed,
    DatacanalError,
    DivisionByZero,
    EngineFailed,
    OutOfDisk,
    OutOfMemory,
    RunError,
    RunInvalidInput,
    ValueOutOfRange,
)

_SAID_LIMIT = 4096
_NO_MEMORY = ("bad_alloc", "bad allocation", "MemoryError")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHOWN = re.compile(r"\n\nLINE \d+: (?P<line>[^\n]*)\n(?P<marks>[ ]+\^+)")


def words_of(error: BaseException) -> str:
    """What the engine said, cut to a bounded length; for the site's own record only."""
    return str(error)[:_SAID_LIMIT]


def failure_of(error: BaseException, memory_bytes: int, sql: str) -> DatacanalError:
    """The error that stands for whatever an engine raised over that statement under that memory limit."""
    if isinstance(error, DatacanalError):
        return error
    if isinstance(error, duckdb.Error):
        return _placed(_of_duckdb(error, memory_bytes), str(error), sql)
    if isinstance(error, MemoryError):
        return OutOfMemory(limit_bytes=memory_bytes)
    if isinstance(error, OSError) and error.errno in _FULL:
        return OutOfDisk(reason="no space is left on the device")
    return EngineFailed(reason=type(error).__name__)


def _placed(failure: DatacanalError, said: str, sql: str) -> DatacanalError:
    """The failure with the character of the statement that the engine points at, if it points at one."""
    position = position_in(sql, said) if isinstance(failure, RunError | EngineFailed) else None
    return failure if position is None else type(failure)(**failure.data, position=position)


def position_in(sql: str, said: str) -> int | None:
    """Where in the statement the engine's excerpt is. Only what stands there once, word for word, is pointed at."""
    shown = _SHOWN.search(said)
    if shown is None or not shown["line"].isascii():
        return None
    # The marks stand below the line, which the words "LINE 1: " begin.
    indent = shown.start("line") - (shown.start() + 2)
    first, end = shown["marks"].index("^") - indent, len(shown["marks"]) - indent
    for excerpt, offset in ((shown["line"], first), (shown["line"][first:end], 0)):
        if excerpt and sql.count(excerpt) == 1:
            return sql.index(excerpt) + offset
    return None


def _of_duckdb(error: duckdb.Error, memory_bytes: int) -> DatacanalError:
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        if "max_temp_directory_size" in said:
            return OutOfDisk(reason="the limit of spilled bytes is reached")
        return OutOfMemory(limit_bytes=memory_bytes)
    if "No space left on device" in said:
        return OutOfDisk(reason="no space is left on the device")
    if any(words in said for words in _NO_MEMORY):
        return OutOfMemory(limit_bytes=memory_bytes)
    return _of_statement(error, said)


def _of_statement(error: duckdb.Error, said: str) -> DatacanalError:
    match error:
        case duckdb.OutOfRangeException():
            return ValueOutOfRange()
        case duckdb.ConversionException():
            return ValueOutOfRange() if "out of range" in said else ConversionFailed()
        case duckdb.InvalidInputException() if "Division by zero" in said:
            return DivisionByZero()
        case duckdb.InvalidInputException() | duckdb.NotImplementedException() | duckdb.SyntaxException():
            return RunInvalidInput()
    return EngineFailed(reason=type(error).__name__)
