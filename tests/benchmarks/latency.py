"""A warm count over one small dataset, from POST to the result in hand over HTTP, beside DuckDB on the same file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
from tests.benchmarks.report import headline, percentile, row, timed
from tests.e2e.service import Service, Settings

RUNS = 200
WARM_UP = 30
SQL = "SELECT count(*) FROM small.events"


def main() -> int:
    headline(f"A count over one small dataset, {RUNS} times, one after the other")
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        file = lake / "events" / "part-0.parquet"
        file.parent.mkdir(parents=True)
        plain = duckdb.connect()
        plain.execute(f"COPY (SELECT range AS id FROM range(1000)) TO '{file}' (FORMAT parquet)")
        home = Path(folder) / "home"
        home.mkdir()
        with Service(home, {"core": {"small": lake}}, Settings(workers=1)) as service, service.client() as client:
            ours = [timed(lambda: client.sql(SQL).to_arrow())[0] for _ in range(WARM_UP + RUNS)][WARM_UP:]
        theirs = [timed(lambda: plain.execute(f"SELECT count(*) FROM '{file}'").fetchall())[0] for _ in range(RUNS)]
    widths = (22, 8, 8, 8)
    row(("", "p50 ms", "p95 ms", "p99 ms"), widths)
    for name, values in (("job API, POST to result", ours), ("DuckDB in process", theirs)):
        row((name, *(percentile(values, share) for share in (0.5, 0.95, 0.99))), widths)
    added = percentile(ours, 0.5) - percentile(theirs, 0.5)
    print(f"\np50 {percentile(ours, 0.5):.0f} ms (goal: at most 100), {added:.0f} ms more than the engine alone")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
