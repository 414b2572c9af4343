"""Why a driver has no table to return."""

from __future__ import annotations

from typing import Literal

Why = Literal["raised", "cannot_be_loaded", "no_table", "other_columns", "environment", "out_of_memory", "out_of_disk"]


class GivesUp(Exception):
    """`words` are for the job's author; they stay at the site. `why` is all that leaves."""

    def __init__(self, why: Why, words: str) -> None:
        super().__init__(words)
        self.why = why
