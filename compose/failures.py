"""What can go wrong on the way, in words for the person who runs it."""

from __future__ import annotations


class CannotRun(Exception):
    """`what` was wrong and where; `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}\n{remedy}")
