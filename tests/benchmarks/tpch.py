"""TPC-H over two lakes at two sites, beside one DuckDB over the same files: seconds, bytes moved, overhead per step.

Pool of one worker with two threads beside one DuckDB with two threads, in turn, medians of three. Run it with
`make bench`, or `python -m tests.benchmarks.tpch [SCALE]`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tests.benchmarks.pulling import Puller
from tests.benchmarks.report import headline, row, timed
from tests.e2e.planned import catalogue_of
from tests.e2e.service import Service, Settings
from tests.plugins.tpch import ABSENT, LAKES, tpch_is_here, tpch_lakes, tpch_queries

from datacanal.client import Client

RUNS = 3
WIDTHS = (4, 9, 9, 6, 5, 12, 9, 9, 9)
TITLES = ("", "DuckDB ms", "ours ms", "ratio", "steps", "ms over/step", "moved MB", "cols MB", "whole MB")


@dataclass(frozen=True)
class Measured:
    """One query: milliseconds of both, our steps, and megabytes by each way of moving."""

    duckdb_ms: float
    ours_ms: float
    steps: int
    moved_mb: float
    columns_mb: float
    whole_mb: float

    def cells(self, name: str) -> tuple[object, ...]:
        over = (self.ours_ms - self.duckdb_ms) / self.steps
        ratio = self.ours_ms / self.duckdb_ms
        moved = (self.moved_mb, self.columns_mb, self.whole_mb)
        return (name, self.duckdb_ms, self.ours_ms, ratio, self.steps, over, *moved)


def main() -> int:
    if not tpch_is_here():
        print(ABSENT)
        return 0
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    headline(f"TPC-H at scale {scale:g}: two sites, each a pool of 1 worker with 2 threads, beside one DuckDB with 2")
    lakes = tpch_lakes(scale)
    row(TITLES, WIDTHS)
    with _service(lakes) as client:
        puller = Puller(lakes, catalogue_of(client))
        plain = _one_duckdb(lakes)
        found = [_measured(client, plain, puller, number, sql) for number, sql in sorted(tpch_queries().items())]
    total = Measured(*(sum(column) for column in zip(*(vars(each).values() for each in found), strict=True)))
    row(total.cells("sum"), WIDTHS)
    _verdicts(total)
    return 0


def _measured(client: Client, plain: duckdb.DuckDBPyConnection, puller: Puller, number: int, sql: str) -> Measured:
    theirs, ours, jobs = [], [], []
    client.sql(sql).to_arrow()
    for _ in range(RUNS):
        theirs.append(timed(lambda: plain.sql(sql).to_arrow_table())[0])
        elapsed, job = timed(lambda: _answered(client, sql))
        ours.append(elapsed)
        jobs.append(job)
    stats = jobs[-1].stats
    measured = Measured(
        duckdb_ms=statistics.median(theirs),
        ours_ms=statistics.median(ours),
        steps=len(stats.steps),
        moved_mb=stats.bytes_moved / 1e6,
        columns_mb=puller.needed_columns(sql) / 1e6,
        whole_mb=puller.whole_tables(sql) / 1e6,
    )
    row(measured.cells(f"Q{number}"), WIDTHS)
    return measured


def _answered(client: Client, sql: str):  # type: ignore[no-untyped-def]  # the job type is the client's own
    job = client.sql(sql)
    job.to_arrow()
    return job


def _verdicts(total: Measured) -> None:
    print(f"\nbytes moved in sum: {total.moved_mb:.1f} MB (goal: at most 40);", end=" ")
    print(f"pulling needed columns {total.columns_mb / total.moved_mb:.0f} times as much,", end=" ")
    print(f"pulling whole tables {total.whole_mb / total.moved_mb:.0f} times")
    print(f"time in sum: {total.ours_ms / total.duckdb_ms:.2f} times one DuckDB (goal: at most 2.5)")
    print(f"over per step: {(total.ours_ms - total.duckdb_ms) / total.steps:.0f} ms (goal: at most 40)")


@contextmanager
def _service(lakes: Mapping[str, Path]) -> Iterator[Client]:
    sites = {"core": {"transactions": lakes["transactions"]}, "people": {"users": lakes["users"]}}
    settings = Settings(workers=1, threads=2, memory="4GiB")
    with (
        tempfile.TemporaryDirectory() as home,
        Service(Path(home), sites, settings) as service,
        service.client() as client,
    ):
        yield client


def _one_duckdb(lakes: Mapping[str, Path]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "4GB"})
    connection.execute("SET enable_progress_bar = false")
    for lake, tables in LAKES.items():
        for table in tables:
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{lakes[lake] / table}/*.parquet')")
    return connection


if __name__ == "__main__":
    raise SystemExit(main())
