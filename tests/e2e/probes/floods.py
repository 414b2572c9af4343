"""Functions that say, take or fill too much. They end their own jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

_MIB = 2**20
FLOOD_BYTES = 100 * _MIB


def table() -> pa.Table:
    return pa.table({"n": pa.array([42], pa.int32())})


def flood(ctx: Any) -> pa.Table:
    """Words without end, to both outputs."""
    line = "x" * (_MIB // 2 - 1) + "\n"
    for _ in range(FLOOD_BYTES // _MIB):
        sys.stdout.write(line)
        sys.stderr.write(line)
    return table()


def print_the_lake(ctx: Any) -> None:
    """By every way that a word has: output, errors, the job's log, progress, and the exception itself."""
    words = str(ctx.dataset("transactions.words").arrow().to_table().to_pylist())
    sys.stdout.write(words)
    sys.stderr.write(words)
    ctx.log(words)
    ctx.progress(0.5)
    raise ValueError(words)


def memory(ctx: Any) -> None:
    held = []
    while True:
        held.append(b"\1" * _MIB)


def memory_of_a_worker(ctx: Any) -> None:
    ctx.client.submit(memory, None).result()


def disk(ctx: Any) -> None:
    """What lies in /tmp is bounded by its size."""
    fill("/tmp")  # noqa: S108  # in the container


def disk_as_large_as_the_memory(ctx: Any) -> None:
    """What lies in /work is memory."""
    fill("/work")


def fill(folder: str) -> None:
    with Path(folder, "filling").open("wb", buffering=0) as filling:
        while True:
            filling.write(b"\1" * _MIB)
