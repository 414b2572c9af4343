"""`python -m compose demo`: two sites as containers, a statement and a function over both, and a look at the walls.

The exit code is 0 where everything held, 1 where a wall did not, 2 where it could not be run.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from compose.failures import CannotRun
from compose.introductions import introduce, welcome
from compose.looking import Looking, table
from compose.project import SITES, Project
from compose.walls import judge

HELD, BROKEN, CANNOT, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """See above. What `demo` made is gone afterwards, unless it shall be kept.

    `look` looks at the walls of what was kept once more, and `down` ends it.
    """
    parser = argparse.ArgumentParser(prog="python -m compose", description="Two sites as containers, and their walls.")
    parser.add_argument("action", choices=["demo", "look", "down"])
    parser.add_argument("--name", default="datacanal-demo", help="what everything in the engine is called after")
    parser.add_argument("--keep", action="store_true", help="leave it running")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Project(chosen.name, os.environ) as project:
            if chosen.action == "down":
                _take_down(project)
                return HELD
            if chosen.action == "look":
                return BROKEN if _look(project) else HELD
            return _demo(project, keep=chosen.keep)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CannotRun as failure:
        print(f"{failure.what}\n{failure.remedy}", file=sys.stderr)
        return CANNOT


def _demo(project: Project, *, keep: bool) -> int:
    if project.services():
        raise CannotRun(f"{project.name} is there already.", f"python -m compose down --name {project.name}")
    with _taken_down(project, unless=keep):
        token = _started(project)
        _say(project.run("client", ["python", "/inside/questions.py"], DATACANAL_TOKEN=token).rstrip())
        wrong = _look(project)
        if keep:
            _say(f"\nIt keeps running until `python -m compose down --name {project.name}`. To ask more:\n")
            client = f"docker exec -e DATACANAL_TOKEN={token} {project.container('client').name} datacanal"
            _say(f"  {client} dataset list")
    return BROKEN if wrong else HELD


def _started(project: Project) -> str:
    """Everything runs and knows each other; the token of a user."""
    began = monotonic()
    _say(f"Starting {project.name}: a control plane, the sites {' and '.join(SITES)}, a client …")
    introduce(project)
    token = welcome(project, "alice")
    _say(f"Both sites have joined and know each other by their keys, after {monotonic() - began:.1f} s.")
    return token


def _look(project: Project) -> list[str]:
    """Prints who reaches whom; gives what should not be."""
    looking = Looking(project)
    opened = looking.opened()
    _say("\nThe walls: what each container reaches of what the others offer, and which datasets lie in it\n")
    _say("\n".join(table(looking, opened)))
    wrong = judge(list(looking.places.values()), opened, project.owners())
    wrong += looking.astray()
    tried = sum(len(looking.doors(place)) for place in looking.places.values())
    _say(f"\n{tried} connections tried, {len(opened)} came about, {len(wrong)} findings.")
    for each in wrong:
        _say(f"  BROKEN: {each}")
    if not wrong:
        _say("The walls hold: neither site reaches the other's lake or pool.")
    return wrong


@contextmanager
def _taken_down(project: Project, *, unless: bool) -> Iterator[None]:
    """Afterwards nothing is left, whatever happened in between, unless it went well and shall be kept."""
    try:
        yield
    except BaseException:
        _take_down(project)
        raise
    if not unless:
        _take_down(project)


def _take_down(project: Project) -> None:
    left = project.down()
    if left:
        raise CannotRun(f"These are left: {', '.join(left)}", "Remove them with docker.")
    _say("Taken down: no container, network or volume of it is left.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
