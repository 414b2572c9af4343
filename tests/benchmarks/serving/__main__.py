"""The gateway beside ROAPI, Datasette and a bare FastAPI+DuckDB handler: same rows, same machine, same run.

Every server has core 0, the load core 1. Ours checks a key with every request and charges it; the others ask for none.
All others have settings that suit the questions (their modules say which) and files in both orders that the questions
come in.
Requests per second and bytes per second are at saturation (wrk); latencies at half of each server's own saturation,
counted from the moment a request was due.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from tests.benchmarks.report import headline, row
from tests.benchmarks.serving import bars, goals, loaded, metering, transfers
from tests.benchmarks.serving.answers import differences
from tests.benchmarks.serving.asking import distinct_pages
from tests.benchmarks.serving.bare import Bare
from tests.benchmarks.serving.datasette import Datasette
from tests.benchmarks.serving.half_open import half_open
from tests.benchmarks.serving.loads import ABSENT, latencies, wrk_is_here
from tests.benchmarks.serving.ours import Gateway, Unmetered
from tests.benchmarks.serving.roapi import Roapi
from tests.benchmarks.serving.servers import BIN, LOAD_CORE, SERVER_CORE, Server

_HALF_OPEN = 500
_HEALTHY_PER_S = 50.0
_HEALTHY_CONNECTIONS = 8
_WARM_UP_S = 5.0
_WIDTHS = (34, 16, 9, 9)


def main() -> int:
    arguments = _arguments()
    headline(f"Serving {bars.ROWS:,} daily bars: one core for the server, one for the load")
    if reason := _lack():
        print(f"not measured: {reason}")
        return 0
    os.sched_setaffinity(0, {LOAD_CORE})
    with ExitStack() as stack:

        def home() -> Path:
            return Path(stack.enter_context(_folder()))

        if arguments.metering:
            metered, unmetered = stack.enter_context(Gateway(home())), stack.enter_context(Unmetered(home()))
            return metering.compare(metered, unmetered, arguments.rounds, arguments.seconds)
        servers = [stack.enter_context(kind(home())) for kind in _kinds(arguments)]
        if arguments.half_open:
            return _half_open(servers[0], arguments.half_open)
        return _compare(servers, arguments.rounds, arguments.seconds)


def _compare(servers: Sequence[Server], rounds: int, seconds: float) -> int:
    if told := differences(servers):
        print("\n".join(told))
        return 1
    print(f"{', '.join(server.name for server in servers)}: the same rows, by their hash\n")
    ours = Gateway.name
    table = loaded.measured(servers, loaded.workloads(seconds, ours), rounds, seconds)
    loaded.tell(table, ours)
    print()
    transferred = transfers.transferred(servers, rounds)
    transfers.tell_transfers(transferred, ours)
    print()
    walks = transfers.walked(servers)
    transfers.tell_walks(walks)
    print()
    row(("the most memory held", "", "MiB", "× ours"), _WIDTHS)
    for server in servers:
        row(("", server.name, server.peak_bytes() / 2**20, server.peak_bytes() / servers[0].peak_bytes()), _WIDTHS)
    print()
    goals.tell(goals.goals(table, transferred, walks, ours))
    return 0


def _half_open(server: Server, seconds: float) -> int:
    every = distinct_pages()  # no memory of answers helps the second half

    def measured(for_s: float) -> tuple[float, float]:
        asks = [server.page(page) for page in islice(every, round(for_s * _HEALTHY_PER_S))]
        return latencies(server, asks, _HEALTHY_CONNECTIONS, for_s, _HEALTHY_PER_S)

    measured(_WARM_UP_S)
    alone = measured(seconds)
    with half_open(server.port, _HALF_OPEN):
        beside = measured(seconds)
    row((f"W1 new pages, {_HEALTHY_PER_S:.0f} a second for {seconds:g} s", "", "p50 ms", "p99 ms"), _WIDTHS)
    row(("", "alone", *alone), _WIDTHS)
    row(("", f"beside {_HALF_OPEN}", *beside), _WIDTHS)
    print(
        f"\np99 beside {_HALF_OPEN} half-open connections is {beside[1] / alone[1]:.2f} times the one alone (goal: 2)"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load")
    parser.add_argument(
        "--half-open", type=float, metavar="SECONDS", help=f"instead: beside {_HALF_OPEN} half-open connections"
    )
    parser.add_argument("--metering", action="store_true", help="instead: beside the same gateway that charges nobody")
    return parser.parse_args()


def _lack() -> str:
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        return "two cores are needed"
    if not shutil.which("taskset"):
        return "taskset is missing; on Debian: apt-get install util-linux"
    return "" if wrk_is_here() else ABSENT


def _kinds(arguments: argparse.Namespace) -> list[type[Server]]:
    return [Gateway] if arguments.half_open or not _others_are_here() else _all_kinds()


def _others_are_here() -> bool:
    if not (is_here := (BIN / "roapi").exists()):
        print("the others are not measured: .venv-serving could not be made")
    return is_here


def _all_kinds() -> list[type[Server]]:
    return [Gateway, Roapi, Datasette, Bare]


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="datacanal-serving-")


if __name__ == "__main__":
    raise SystemExit(main())
