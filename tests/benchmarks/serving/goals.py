"""What was promised, and whether this run held it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.benchmarks.report import row
from tests.benchmarks.serving.loaded import CONNECTIONS, W1, W1_DISTINCT, W3, Table
from tests.benchmarks.serving.transfers import Walk

_RIVAL = "ROAPI"
_NOISE = 1.1
"""Two equal pages differ by so much on a machine that does nothing else."""
_WIDTHS = (70, 9, 9, 7)

Goal = tuple[str, float, str, bool]


def tell(goals: Iterator[Goal]) -> None:
    row(("goal", "measured", "wanted", ""), _WIDTHS)
    for words, measured, wanted, is_held in goals:
        row((words, measured, wanted, "held" if is_held else "missed"), _WIDTHS)


def goals(
    table: Table, transfers: Mapping[tuple[str, str], tuple[float, float]], walks: Mapping[str, Walk], ours: str
) -> Iterator[Goal]:
    """Only those of which both sides were measured."""
    for workload, connections in [*((W1, each) for each in CONNECTIONS), (W1_DISTINCT, 8)]:
        if theirs := table.get((workload, connections, _RIVAL)):
            ratio = table[workload, connections, ours].per_s / theirs.per_s
            words = f"{workload}: requests/s ÷ {_RIVAL}'s, {connections} connections"
            yield words, ratio, "≥ 1", ratio >= 1
    p50_ms = table[W3, 1, ours].p50_ms
    yield f"{W3}: p50 in ms, 1 connection", p50_ms, "≤ 1", p50_ms <= 1
    if arrow := transfers.get(("arrow", _RIVAL)):
        ratio = transfers["arrow", ours][0] / arrow[0]
        yield f"W4 Arrow: seconds ÷ {_RIVAL}'s", ratio, "≤ 1.2", ratio <= 1.2
    ratio = walks[ours].last_s / walks[ours].first_s
    yield "W5: last page ÷ first page", ratio, f"≤ {_NOISE}", ratio <= _NOISE
