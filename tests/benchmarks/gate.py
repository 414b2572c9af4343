"""What the egress gate costs: labels, signatures and the record beside TPC-H, protected aggregates beside plain ones.

The 22 queries run through the service under policies in which everything is public. What planner and kernel do for
labels, what agents sign and verify and what they record is then done again by itself, on the same plans, and timed.
Run it with `make bench`, or `python -m tests.benchmarks.gate [SCALE]`.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.guarding import Guard
from tests.benchmarks.protected import AGGREGATES, GUARDED, POLICY
from tests.benchmarks.report import headline, row, timed
from tests.e2e.service import Service, Settings
from tests.plugins.tpch import ABSENT, tpch_is_here, tpch_lakes, tpch_queries

from datacanal.client import Client
from datacanal.protocol.plan import Plan

RUNS = 3
GUARD_RUNS = 9
WIDTHS = (5, 9, 9, 9, 9, 9, 7)
TITLES = ("", "ours ms", "plan ms", "kernel ms", "sign ms", "record ms", "share %")
AGGREGATE_WIDTHS = (44, 10, 12, 6, 9)


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one query: all of it, and what its labels, signatures and records take of that."""

    ours: float
    planner: float
    kernel: float
    signatures: float
    records: float

    @property
    def share(self) -> float:
        return 100 * (self.planner + self.kernel + self.signatures + self.records) / self.ours

    def cells(self, name: str) -> tuple[object, ...]:
        return (name, self.ours, self.planner, self.kernel, self.signatures, self.records, self.share)


def main() -> int:
    if not tpch_is_here():
        print(ABSENT)
        return 0
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    lakes = tpch_lakes(scale)
    headline(f"TPC-H at scale {scale:g}, everything public: what the gate costs, medians of {RUNS}")
    sites = {"core": {"transactions": lakes["transactions"]}, "people": {"users": lakes["users"]}}
    with _service(sites) as client, tempfile.TemporaryDirectory() as folder:
        guard = Guard(Path(folder))
        total = _tpch(client, guard)
        guard.close()
    print(f"\nlabels, signatures and record: {total.share:.1f} % of TPC-H time (goal: at most 10)")
    headline(f"Aggregates of protected columns beside the same of public ones, medians of {RUNS}")
    with tempfile.TemporaryDirectory() as folder:
        guarded = shutil.copytree(lakes["transactions"], Path(folder) / GUARDED)
        with _service({"core": {"transactions": lakes["transactions"], GUARDED: guarded}}) as client:
            _aggregates(client)
    return 0


def _tpch(client: Client, guard: Guard) -> Cost:
    row(TITLES, WIDTHS)
    found = []
    for number, sql in sorted(tpch_queries().items()):
        ours = _median(lambda sql=sql: client.sql(sql).to_arrow())
        plan = client.sql(sql).plan
        assert plan is not None
        cost = Cost(ours, *_guarding(guard, plan))
        row(cost.cells(f"Q{number}"), WIDTHS)
        found.append(cost)
    total = Cost(*(sum(column) for column in zip(*(vars(each).values() for each in found), strict=True)))
    row(total.cells("sum"), WIDTHS)
    return total


def _guarding(guard: Guard, plan: Plan) -> tuple[float, float, float, float]:
    """Milliseconds that planner, kernels, signatures and record take; few of each, so they are measured more often."""
    labels = _median(lambda: guard.plan(plan), GUARD_RUNS) - _median(lambda: guard.plan(plan, labels=False), GUARD_RUNS)
    others = (guard.check, guard.sign, guard.record)
    return labels, *(_median(lambda work=work: work(plan), GUARD_RUNS) for work in others)


def _aggregates(client: Client) -> None:
    row(("", "public ms", "protected ms", "ratio", "withheld"), AGGREGATE_WIDTHS)
    ratios = []
    for name, sql in AGGREGATES.items():
        public = _median(lambda sql=sql: client.sql(sql.format(lake="transactions")).to_arrow())
        protected = _median(lambda sql=sql: client.sql(sql.format(lake=GUARDED)).to_arrow())
        result = client.sql(sql.format(lake=GUARDED)).wait().view.result
        ratios.append(protected / public)
        row((name, public, protected, ratios[-1], result.withheld_groups if result else 0), AGGREGATE_WIDTHS)
    print(f"\nprotected aggregates take {statistics.median(ratios):.2f} times as long, at the median of the statements")


def _median(work: Callable[[], object], runs: int = RUNS) -> float:
    """Milliseconds, after one run to warm up."""
    work()
    return statistics.median(timed(work)[0] for _ in range(runs))


@contextmanager
def _service(sites: Mapping[str, Mapping[str, Path]]) -> Iterator[Client]:
    settings = Settings(workers=1, threads=2, memory="4GiB", policies={GUARDED: POLICY})
    with (
        tempfile.TemporaryDirectory() as home,
        Service(Path(home), sites, settings) as service,
        service.client() as client,
    ):
        yield client


if __name__ == "__main__":
    raise SystemExit(main())
