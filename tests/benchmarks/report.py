"""What every benchmark prints alike: the machine, and plain tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

import duckdb

T = TypeVar("T")


def headline(title: str) -> None:
    """The benchmark's name and the machine's facts."""
    load = os.getloadavg()[0]
    print(f"\n{title}")
    print(
        f"{os.cpu_count()} cores, load {load:.1f}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}\n"
    )


def row(cells: Sequence[object], widths: Sequence[int]) -> None:
    """One line of a table, numbers right-aligned."""
    print("  ".join(_cell(cell, width) for cell, width in zip(cells, widths, strict=True)), flush=True)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Milliseconds and the result."""
    started = perf_counter()
    result = work()
    return (perf_counter() - started) * 1000, result


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _cell(cell: object, width: int) -> str:
    if isinstance(cell, float):
        cell = f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}"
    return str(cell).ljust(width) if isinstance(cell, str) and not cell[:1].isdigit() else str(cell).rjust(width)
