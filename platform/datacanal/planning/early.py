"""Whether a statement could raise over a row that it would not see in the end, were its conditions asked in any order.

DuckDB asks the conditions of a statement and of the views below it in an order of its own choosing. That changes no
result, but an expression that raises may do so over a row that another condition takes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datacanal.planning.harmless import is_harmless

_ABOVE_CONDITIONS = frozenset(
    {"LOGICAL_PROJECTION", "LOGICAL_ORDER_BY", "LOGICAL_TOP_N", "LOGICAL_LIMIT", "LOGICAL_WINDOW"}
)
"""Where these stand with no condition above them, nothing of theirs can be asked before a condition."""
_AGGREGATE = "LOGICAL_AGGREGATE_AND_GROUP_BY"


def may_raise_early(bound: dict[str, Any] | None) -> bool:
    """Whether the bound plan has an expression that can raise where a condition of a view may be asked after it.

    What only computes the values of the result, or what is aggregated, is computed of rows that passed every condition.
    A plan that is not to be had may do anything.
    """
    if bound is None:
        return True
    stack: list[tuple[dict[str, Any], bool]] = [(bound, True)]
    while stack:
        node, is_above = stack.pop()
        is_above = is_above and node.get("type") in _ABOVE_CONDITIONS
        if not is_above and not all(map(is_harmless, _movable(node))):
            return True
        stack.extend((child, is_above) for child in node.get("children", []))
    return False


def _movable(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The operator's expressions that may come to stand in a condition: of an aggregate, what it groups by."""
    parts = node.get("groups", []) if node.get("type") == _AGGREGATE else [_without_children(node)]
    stack: list[Any] = list(parts)
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict) and "expression_class" in value:
            yield value
        elif isinstance(value, dict):
            stack.extend(value.values())


def _without_children(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "children"}
