"""How many small changes of the SQL gate, labels, egress gate and policy their own unit tests notice.

`make mutants`, or `python -m tests.mutation [HOW_MANY] [SEED]`. Each mutant is imported in the place of its module by a
process of its own, which runs the fitting tests until one fails; what no test notices is listed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tests.mutation.changes import Mutant, mutants

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "platform"
UNIT = ROOT / "tests" / "unit"
DEADLINE_S = 300
AT_ONCE = 2

PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SQL gate": (
        "datacanal/planning/gate.py",
        ("planning/test_gate.py", "planning/test_hostile_statements.py", "planning/test_legal_statements.py"),
    ),
    "names": (
        "datacanal/planning/names.py",
        ("planning/test_names.py", "planning/test_gate.py", "planning/test_hostile_statements.py"),
    ),
    "labels": ("datacanal/planning/lineage/*.py", ("planning/lineage",)),
    "egress gate": ("datacanal/site/gate/*.py", ("site/gate",)),
    "policy": ("datacanal/site/policy/*.py", ("site/policy",)),
}
"""What is changed, and the tests that should notice."""


def main(arguments: Sequence[str]) -> int:
    wanted = int(arguments[0]) if arguments else 150
    seed = int(arguments[1]) if len(arguments) > 1 else time.time_ns() % 10**6
    every = [(part, mutant) for part in PARTS for mutant in _of_part(part)]
    chosen = Random(seed).sample(every, min(wanted, len(every)))
    print(f"{len(chosen)} of {len(every)} mutants; `python -m tests.mutation {wanted} {seed}` takes the same ones\n")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part, passes in zip(PARTS, pool.map(lambda part: _survives(part, None), PARTS), strict=True):
            if not passes:
                print(f"the tests of {part} fail without any change")
                return 1
        survived = list(pool.map(lambda each: _survives(*each), chosen))
    _report(chosen, survived)
    return 0


def _of_part(part: str) -> Iterator[Mutant]:
    for file in sorted(SOURCE.glob(PARTS[part][0])):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        yield from mutants(".".join(parts).removesuffix(".__init__"), file.read_text(encoding="utf-8"))


def _survives(part: str, mutant: Mutant | None) -> bool:
    """Whether all tests of the part pass with the mutant; one that never ends is noticed, too."""
    tests = [str(UNIT / test) for test in PARTS[part][1]]
    given = {"tests": tests, "module": mutant.module if mutant else "", "source": mutant.source if mutant else ""}
    try:
        trial = [sys.executable, "-m", "tests.mutation.trial"]
        done = subprocess.run(
            trial, input=json.dumps(given), text=True, cwd=ROOT, timeout=DEADLINE_S, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _report(chosen: Sequence[tuple[str, Mutant]], survived: Sequence[bool]) -> None:
    made, alive = Counter(part for part, _ in chosen), Counter()
    for (part, mutant), lives in zip(chosen, survived, strict=True):
        if lives:
            alive[part] += 1
            print(f"not noticed: {mutant.module}:{mutant.line}: {mutant.change}")
    print()
    for part, count in [*made.items(), ("all", made.total())]:
        noticed = count - (alive.total() if part == "all" else alive[part])
        print(f"{part:12} {noticed:4} of {count:4} noticed, {100 * noticed / count:.0f} %")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
