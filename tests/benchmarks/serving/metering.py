"""What keys, quotas and metering cost: the gateway beside the same one that charges nobody, in turns.

Both have every page of W1 in memory before: otherwise the faster one soon has more of them. That is the dearest case of
all, as such a page takes next to nothing; of pages that are executed the table has the others.
"""

from __future__ import annotations

from tests.benchmarks.report import row
from tests.benchmarks.serving import loaded
from tests.benchmarks.serving.asking import zipf_pages
from tests.benchmarks.serving.ours import Gateway, Unmetered

_MOST_LOST = 0.1
_MOST_P50_MS = 1.0
_WIDTHS = (62, 10, 10, 8)


def compare(metered: Gateway, unmetered: Unmetered, rounds: int, seconds: float) -> int:
    """W1 and W3; prints the table, and whether the goals are held."""
    workloads = [
        loaded.Workload(each.name, each.runs, each.connections)
        for each in loaded.workloads(seconds, metered.name)
        if each.name in (loaded.W1, loaded.W1_DISTINCT, loaded.W3)
    ]
    for server in (metered, unmetered):
        for page in dict.fromkeys(zipf_pages()):
            server.ask(server.page(page))
    table = loaded.measured([metered, unmetered], workloads, rounds, seconds)
    if unmetered.charged() or not metered.charged():
        raise RuntimeError("who should charge did not, or who should not did")
    loaded.tell(table, metered.name)
    print()
    row(("goal", "measured", "wanted", ""), _WIDTHS)
    for name, connections in [*((loaded.W1, each) for each in loaded.CONNECTIONS), (loaded.W1_DISTINCT, 8)]:
        with_it, without = (table[name, connections, each.name].per_s for each in (metered, unmetered))
        _tell(f"{name}, {connections} con.: lost by metering", 1 - with_it / without, _MOST_LOST)
    _tell("W3, 1 connection: p50 in ms", table[loaded.W3, 1, metered.name].p50_ms, _MOST_P50_MS)
    return 0


def _tell(words: str, measured: float, most: float) -> None:
    row((words, measured, f"\u2264 {most:g}", "held" if measured <= most else "missed"), _WIDTHS)
