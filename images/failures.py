"""What can be wrong with the machine or the tree that shall build images, in words for the person who builds."""

from __future__ import annotations


class CannotBuild(Exception):
    """`what` was wrong and where; `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}\n{remedy}")
