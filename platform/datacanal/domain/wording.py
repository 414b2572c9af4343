"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str) -> str:
    """`1 row`, `2,000 rows`; for words whose plural takes an s."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"
