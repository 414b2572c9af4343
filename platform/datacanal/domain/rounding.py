"""Counts of governed data as they may be told: near enough to plan with, too rough to point at anybody."""

from __future__ import annotations

_LEAST = 10


def rounded(count: int) -> int:
    """The count to two significant digits, and to tens below a hundred; 0 stays 0, and nothing else becomes 0."""
    if count <= 0:
        return 0
    step = max(_LEAST, int(10 ** (len(str(count)) - 2)))
    return max(step, (count + step // 2) // step * step)
