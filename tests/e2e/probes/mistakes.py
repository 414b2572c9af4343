"""Functions with one mistake each."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

LOCK = threading.Lock()


def of_year(ctx: Any, year: int) -> pa.Table:
    return pa.table({"n": pa.array([year], pa.int32())})


def locked(ctx: Any) -> pa.Table:
    with LOCK:
        return of_year(ctx, 1)


def no_table(ctx: Any) -> Any:
    return 42


def other_columns(ctx: Any) -> pa.Table:
    return pa.table({"m": [1]})


def other_types(ctx: Any) -> pa.Table:
    return pa.table({"n": ["not a number"]})


def slow(ctx: Any) -> None:
    time.sleep(600)


def write_to_the_lake(ctx: Any) -> None:
    Path("/stage", "new.parquet").write_bytes(b"PAR1")


def undeclared(ctx: Any) -> Any:
    return ctx.dataset("transactions.accounts").arrow().to_table()


def raises(ctx: Any) -> None:
    raise ValueError("of its author")
