"""What it costs to plan: the 22 texts of TPC-H compiled through the binder's child process, beside DuckDB's EXPLAIN."""

from __future__ import annotations

import statistics
from pathlib import Path

import duckdb
from tests.benchmarks.pulling import NOW
from tests.benchmarks.report import headline, row, timed
from tests.plugins.tpch import ABSENT, LAKES, tpch_is_here, tpch_lakes, tpch_queries

from datacanal.control.binders import BinderPool
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.compiler import compile_statement
from datacanal.protocol.catalogue import DatasetColumn

RUNS = 5
SITES = {"transactions": "core", "users": "people"}


def main() -> int:
    if not tpch_is_here():
        print(ABSENT)
        return 0
    headline(f"Planning the 22 texts of TPC-H, medians of {RUNS}")
    lakes = tpch_lakes(0.1)
    plain = duckdb.connect(config={"threads": 1})
    catalogue = Catalogue(tuple(_datasets(plain, lakes)), frozenset(SITES.values()))
    binder = BinderPool()
    binder.start()
    widths = (4, 9, 10, 6)
    row(("", "plan ms", "EXPLAIN ms", "ratio"), widths)
    sums = [0.0, 0.0]
    for number, sql in sorted(tpch_queries().items()):
        ours = [timed(lambda sql=sql: compile_statement(sql, {}, catalogue, binder, NOW))[0] for _ in range(RUNS)]
        theirs = [timed(lambda sql=sql: plain.execute(f"EXPLAIN {sql}").fetchall())[0] for _ in range(RUNS)]
        pair = statistics.median(ours), statistics.median(theirs)
        sums = [total + each for total, each in zip(sums, pair, strict=True)]
        row((f"Q{number}", *pair, pair[0] / pair[1]), widths)
    binder.stop()
    row(("mean", sums[0] / 22, sums[1] / 22, sums[0] / sums[1]), widths)
    return 0


def _datasets(plain: duckdb.DuckDBPyConnection, lakes: dict[str, Path]) -> list[CataloguedDataset]:
    found = []
    for lake, tables in LAKES.items():
        for table in tables:
            reader = f"read_parquet('{lakes[lake] / table}/*.parquet')"
            plain.execute(f"CREATE VIEW {table} AS SELECT * FROM {reader}")
            described = plain.execute(f"DESCRIBE {table}").fetchall()
            columns = tuple(DatasetColumn(name=name, type=kind) for name, kind, *_ in described)
            [(rows,)] = plain.execute(f"SELECT count(*) FROM {table}").fetchall()
            size = sum(file.stat().st_size for file in (lakes[lake] / table).iterdir())
            found.append(CataloguedDataset(lake, table, SITES[lake], "snp_bench", rows, size, columns))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
