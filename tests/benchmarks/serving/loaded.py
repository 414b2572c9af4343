"""W1 to W3: how many requests a second, and how long each takes, on 1, 8 and 32 connections; medians of rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from statistics import median

from tests.benchmarks.report import row
from tests.benchmarks.serving.asking import Ask, days, distinct_pages, zipf_pages
from tests.benchmarks.serving.loads import Point, measure
from tests.benchmarks.serving.servers import Server

CONNECTIONS = (1, 8, 32)
_PAGES_PER_S = 20_000
_DAYS_PER_S = 400
_REVALIDATED = 500
_WIDTHS = (34, 4, 16, 11, 8, 9, 9, 8)

Asks = Callable[[Server], list[Ask]]
Table = Mapping[tuple[str, int, str], Point]
"""By workload, connections and server."""


@dataclass(frozen=True)
class Workload:
    """`runs` gives the requests of each run anew, so that what may not repeat does not."""

    name: str
    runs: Iterator[Asks]
    connections: Sequence[int] = CONNECTIONS
    only: str | None = None


W1 = "W1 security × 100 rows, Zipf"
W1_DISTINCT = "W1 the same, no question twice"
W2 = "W2 session × 5,000 rows"
W3 = "W3 revalidation (304)"


def workloads(seconds: float, ours: str) -> list[Workload]:
    """Only we have an ETag to revalidate with."""
    return [
        Workload(W1, _repeated_pages()),
        Workload(W1_DISTINCT, _pages(round(_PAGES_PER_S * max(1, seconds))), (8,)),
        Workload(W2, _days(round(_DAYS_PER_S * max(1, seconds)))),
        Workload(W3, _revalidations(), only=ours),
    ]


def measured(servers: Sequence[Server], todo: Sequence[Workload], rounds: int, seconds: float) -> Table:
    """Servers take turns within every round."""
    points: dict[tuple[str, int, str], list[Point]] = defaultdict(list)
    for _ in range(rounds):
        for workload in todo:
            for connections in workload.connections:
                asks = next(workload.runs)
                for server in servers:
                    if workload.only in (None, server.name):
                        point = measure(server, asks(server), connections, seconds)
                        points[workload.name, connections, server.name].append(point)
    return {place: _medians(each) for place, each in points.items()}


def tell(table: Table, ours: str) -> None:
    """The table, with every server's requests per second as a share of ours."""
    row(("", "con.", "", "requests/s", "× ours", "p50 ms", "p99 ms", "MB/s"), _WIDTHS)
    for (workload, connections, server), point in sorted(table.items(), key=lambda each: each[0][:2]):
        share = point.per_s / table[workload, connections, ours].per_s
        figures = (point.per_s, share, point.p50_ms, point.p99_ms, point.bytes_per_s / 1e6)
        row((workload, connections, server, *figures), _WIDTHS)


def _medians(points: Sequence[Point]) -> Point:
    return Point(*(median(values) for values in zip(*map(astuple, points), strict=True)))


def _repeated_pages() -> Iterator[Asks]:
    pages = zipf_pages()
    while True:
        yield lambda server: [server.page(page) for page in pages]


def _pages(many: int) -> Iterator[Asks]:
    every = distinct_pages()
    while pages := list(islice(every, many)):
        yield lambda server, pages=pages: [server.page(page) for page in pages]  # type: ignore[misc]


def _days(many: int) -> Iterator[Asks]:
    every = days()
    while some := list(islice(every, many)):
        yield lambda server, some=some: [server.day(day) for day in some]  # type: ignore[misc]


def _revalidations() -> Iterator[Asks]:
    pages = zipf_pages()[:_REVALIDATED]
    known: dict[str, list[Ask]] = {}
    while True:
        yield lambda server: known.setdefault(server.name, [_again(server, server.page(page)) for page in pages])


def _again(server: Server, ask: Ask) -> Ask:
    """The same request with the ETag of its answer; makes sure that the answer to it is 304."""
    etag = server.ask(ask)[1].headers["ETag"]
    again = Ask(ask.path, {**ask.headers, "If-None-Match": etag})
    if (status := server.ask(again)[1].status) != 304:
        raise RuntimeError(f"{server.name} answered {status} to its own ETag {etag}")
    return again
