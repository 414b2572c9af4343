"""Whether the time of a refusal tells anything of a key: an unknown id beside a wrong secret, in turns.

Every wrong key is a new one, as an attacker's would be, with check digits that fit. Beside them right keys, which a
gateway remembers. Run it with `make bench`, or `python -m tests.benchmarks.keys`.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from tests.benchmarks.report import headline, percentile, row
from tests.subscribers import subscribers

from datacanal.domain.metering_errors import KeyWrong
from datacanal.gateway.access_tokens import access_tokens_of
from datacanal.gateway.bearers import Bearers
from datacanal.ledger.directory import Directory
from datacanal.ledger.keys import check_digits, new_key, parsed, pepper_of
from datacanal.ledger.store import open_ledger

_KEYS = 1000
_TURNS = 20_000
_NOW = datetime(2026, 5, 1, tzinfo=UTC)
_WIDTHS = (34, 12, 12, 12)
UNKNOWN, WRONG, RIGHT = "unknown id", "known id, wrong secret", "right"


def main() -> int:
    headline(f"{_TURNS:,} keys of each kind against {_KEYS:,} keys of the book, in turns")
    with tempfile.TemporaryDirectory(prefix="datacanal-keys-") as folder, _book(Path(folder)) as (bearers, right):
        took = _measured(bearers, right, pepper_of(Path(folder)))
    row(("", "median µs", "p90 µs", "p99 µs"), _WIDTHS)
    for kind, times in took.items():
        row((kind, *(percentile(times, share) / 1000 for share in (0.5, 0.9, 0.99))), _WIDTHS)
    ratio = median(took[UNKNOWN]) / median(took[WRONG])
    print(f"\nan unknown id takes {ratio:.3f} times what a wrong secret takes (goal: 0.95 to 1.05)")
    return 0


@contextmanager
def _book(home: Path) -> Iterator[tuple[Bearers, list[str]]]:
    store = open_ledger(home)
    directory = Directory(store)
    writer = subscribers(store, home)
    subscription = writer.subscription("dev", "pub.bars")
    right = [writer.key(subscription) for _ in range(_KEYS)]
    directory.open()
    yield Bearers(directory, pepper_of(home), access_tokens_of(home)), right
    directory.close()
    store.close()


def _measured(bearers: Bearers, right: list[str], pepper: bytes) -> dict[str, list[int]]:
    rng, took = random.Random(7), defaultdict[str, list[int]](list)
    for _ in range(_TURNS):
        new, known = new_key(pepper, "live").text, rng.choice(right)
        body = f"{known.rpartition('_')[0]}_{parsed(new).secret}"
        asked = [(UNKNOWN, new), (WRONG, body + check_digits(body)), (RIGHT, known)]
        rng.shuffle(asked)
        for kind, text in asked:
            began = perf_counter_ns()
            with suppress(KeyWrong):
                bearers.key(text, _NOW)
            took[kind].append(perf_counter_ns() - began)
    return took


if __name__ == "__main__":
    raise SystemExit(main())
