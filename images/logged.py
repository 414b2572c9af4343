"""Programs whose words are only of interest when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from images.failures import CannotBuild

_LAST_LINES = 8


def run_logged(arguments: Sequence[str], log: Path, what: str, environment: Mapping[str, str]) -> None:
    """Runs it, its words go to the log; raises CannotBuild with the last of them when it fails."""
    with log.open("w") as words:
        done = subprocess.run(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words, check=False
        )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        raise CannotBuild(f"{what} failed with code {done.returncode}:\n{last}", f"All it said is in {log}.")
