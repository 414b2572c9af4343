"""What became of the answers that developers got: recent requests asked of the old snapshot and of the new one.

A row of the old answer must be in the new one, unchanged; rows are told apart by key, so that new rows, which move the
others to later pages, break nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

import duckdb

from datacanal.domain.product_errors import InvalidParameters
from datacanal.products.building.answers import Answers, answers_of
from datacanal.products.building.columns import listed
from datacanal.products.building.orders import Replay
from datacanal.products.building.pairs import Pair, pair_of
from datacanal.products.building.requests import request_of
from datacanal.protocol.products import Difference

MOST_REQUESTS = 200
LIMIT_S = 60.0
_LONGEST_REQUEST = 200


def replay(
    old: Path,
    new: Path,
    queries: Sequence[str],
    connection: duckdb.DuckDBPyConnection,
    *,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Replay:
    """The first 200 distinct requests, as many as the time in all allows. Both keys must name each row once.

    Raises DuckDB's errors and `FileNotFoundError`.
    """
    pair = pair_of(old, new)
    asked = list(dict.fromkeys(queries))
    if not pair.has_one_key:
        what = f"the key is {', '.join(pair.new.key)}, and was {', '.join(pair.old.key)}: no answer is the same"
        return Replay(broken=[Difference(what=what)], grown=[], replayed=0, unasked=len(asked))
    replaying = _Replaying(pair, connection, clock, clock() + limit_s)
    for text in asked[:MOST_REQUESTS]:
        if not replaying.ask(text):
            break
    return Replay(
        broken=replaying.broken,
        grown=replaying.grown,
        replayed=replaying.replayed,
        unasked=len(asked) - replaying.replayed,
    )


@dataclass
class _Replaying:
    pair: Pair
    connection: duckdb.DuckDBPyConnection
    clock: Callable[[], float]
    deadline: float
    broken: list[Difference] = field(default_factory=list)
    grown: list[Difference] = field(default_factory=list)
    replayed: int = 0

    def ask(self, text: str) -> bool:
        """Whether there was the time for it."""
        left_s = self.deadline - self.clock()
        if left_s <= 0:
            return False
        timer = threading.Timer(left_s, self.connection.interrupt)
        timer.start()
        try:
            self._compare(text)
        except duckdb.InterruptException:
            return False
        finally:
            timer.cancel()
        self.replayed += 1
        return True

    def _compare(self, text: str) -> None:
        before = request_of(text, self.pair.old)
        try:
            after = request_of(text, self.pair.new)
        except InvalidParameters as refused:
            self.broken.append(Difference(what=f"{_shown(text)} is not understood any more: {refused.detail}"))
            return
        # A request that names no columns meant all that there were.
        gone = [name for name in before.select if self.pair.new.column(name) is None]
        kept = replace(before, select=tuple(name for name in before.select if name not in gone))
        found = answers_of(self.pair, kept, after, self.connection)
        if gone or found.is_broken:
            self.broken.append(Difference(what=f"{_shown(text)}: {_loss(gone, found)}", examples=found.examples))
        if found.new:
            self.grown.append(Difference(what=f"{_shown(text)}: {found.new:,} new rows"))


def _loss(gone: list[str], found: Answers) -> str:
    columns = [f"no column {listed(gone)} any more"] if gone else []
    rows = [f"of {found.rows:,} rows {found.gone:,} are gone and {found.changed:,} changed"] if found.is_broken else []
    return "; ".join([*columns, *rows])


def _shown(text: str) -> str:
    """As people write it, not as an address has it."""
    text = unquote(text)
    return text if len(text) <= _LONGEST_REQUEST else f"{text[:_LONGEST_REQUEST]}…"
