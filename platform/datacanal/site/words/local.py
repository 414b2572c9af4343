"""The words as their steward reads them at the site's own machine, where nothing leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datacanal.site.record.reading import opened_store


@dataclass(frozen=True)
class LocalWords:
    """One attempt: what it came to (`done` or an error's code), and what it said."""

    step: str
    attempt: int
    fence: int
    finished_ms: int
    outcome: str
    said: str


def read_words(database: Path, job: str) -> Sequence[LocalWords]:
    """Every attempt of the job that is kept, in the order in which they ended. Raises `NotFound` without a store."""
    with opened_store(database) as store:
        rows = store.execute(
            "SELECT step, attempt, fence, finished_ms, outcome, said FROM attempts WHERE job = ? ORDER BY finished_ms",
            (job,),
        )
        return [LocalWords(*row) for row in rows]
