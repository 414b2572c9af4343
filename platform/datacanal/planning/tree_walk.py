"""The objects of a syntax tree, for whoever asks nothing of the way to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the value, itself included, each before those inside it. Iterative: depth is no danger."""
    stack: list[Any] = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            yield value
            stack.extend(value.values())
