"""Names as SQL text."""

from __future__ import annotations


def identifier(name: str) -> str:
    """The name in double quotes, whatever it holds."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
