"""The walk of W5: pages of 10,000 rows, and which of them stand for its beginning and its end."""

from __future__ import annotations

from collections.abc import Iterator

PAGE_ROWS = 10_000
ENDS = 3
"""So many pages at either end are compared."""


def ends_of(rows: int) -> Iterator[int]:
    """The offsets of the first and the last pages."""
    last = rows - ENDS * PAGE_ROWS
    yield from range(0, ENDS * PAGE_ROWS, PAGE_ROWS)
    yield from range(last, rows, PAGE_ROWS)
