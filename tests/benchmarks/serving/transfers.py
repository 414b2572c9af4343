"""W4 and W5: large answers one after the other, and a walk over a million rows, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

from tests.benchmarks.report import row
from tests.benchmarks.serving.asking import Block, blocks
from tests.benchmarks.serving.pages import ENDS, PAGE_ROWS
from tests.benchmarks.serving.servers import Server

FORMATS = ("arrow", "parquet")
WALK_ROWS = 1_000_000
_PER_ROUND = 3
_BLOCK_WIDTHS = (34, 16, 9, 8, 8)
_WALK_WIDTHS = (34, 16, 9, 9, 12, 9)


@dataclass(frozen=True)
class Walk:
    """Medians of the first and the last pages; `whole_s` where every page was asked."""

    first_s: float
    last_s: float
    whole_s: float | None


def transferred(servers: Sequence[Server], rounds: int) -> dict[tuple[str, str], tuple[float, float]]:
    """By format and server: median seconds, and bytes per second. No block is asked of a server twice."""
    table = {}
    for format in FORMATS:  # noqa: A001  # the word of the field
        every = blocks(format)
        turns = [list(islice(every, _PER_ROUND)) for _ in range(rounds)]
        taken: dict[str, list[tuple[float, int]]] = {server.name: [] for server in servers}
        for turn in turns:
            for server in servers:
                taken[server.name] += _fetched(server, turn)
        for name, each in taken.items():
            if each:
                table[format, name] = median(s for s, _ in each), median(size / s for s, size in each)
    return table


def walked(servers: Sequence[Server]) -> dict[str, Walk]:
    """Each server's walk, once. Raises `RuntimeError` when one gave other than full pages."""
    return {server.name: _walk(server) for server in servers}


def tell_transfers(table: Mapping[tuple[str, str], tuple[float, float]], ours: str) -> None:
    row(("100,000 rows", "", "ms", "× ours", "MB/s"), _BLOCK_WIDTHS)
    for (format, server), (seconds, rate) in table.items():  # noqa: A001
        share = seconds / table[format, ours][0]
        row((f"W4 {format.capitalize()}", server, seconds * 1000, share, rate / 1e6), _BLOCK_WIDTHS)


def tell_walks(walks: Mapping[str, Walk]) -> None:
    row((f"a million rows by {PAGE_ROWS:,}", "", "first ms", "last ms", "last ÷ first", "whole s"), _WALK_WIDTHS)
    for server, walk in walks.items():
        figures = (walk.first_s * 1000, walk.last_s * 1000, walk.last_s / walk.first_s)
        row(("W5", server, *figures, "" if walk.whole_s is None else walk.whole_s), _WALK_WIDTHS)


def _fetched(server: Server, turn: Sequence[Block]) -> Iterator[tuple[float, int]]:
    for block in turn:
        if ask := server.block(block):
            elapsed_s, _, answer = server.ask(ask)
            yield elapsed_s, len(answer)


def _walk(server: Server) -> Walk:
    next(server.walk(WALK_ROWS))  # whatever is slow only once
    pages = list(server.walk(WALK_ROWS))
    if any(rows != PAGE_ROWS for _, rows in pages):
        raise RuntimeError(f"{server.name} gave pages of {sorted({rows for _, rows in pages})} rows")
    seconds = [elapsed_s for elapsed_s, _ in pages]
    is_whole = len(pages) * PAGE_ROWS == WALK_ROWS
    return Walk(median(seconds[:ENDS]), median(seconds[-ENDS:]), sum(seconds) if is_whole else None)
