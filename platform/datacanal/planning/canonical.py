"""When two syntax trees mean the same: the form in which a tree is compared with what its printed text reads as.

DuckDB's printer and parser agree on all but four spellings, which this form evens out: places in the text, VALUES
wrapped in a SELECT of its own, names given both as argument name and alias, and the order of grouping expressions.
"""

from __future__ import annotations

import json
from typing import Any

# Parameters stand in the tree by name; the map only numbers them in the order of the text.
_IGNORED = frozenset({"query_location", "query_location_length", "named_param_map"})
_ESCAPES = frozenset({"like_escape", "not_like_escape", "ilike_escape", "not_ilike_escape"})
_STAR = {"class": "STAR", "type": "STAR"}


def canonical(value: Any) -> Any:
    """The comparable form of a tree or a part of one: plain JSON without empty values."""
    # Plain loops: a comprehension would take a second frame for each level of a deep tree.
    if isinstance(value, list):
        items = []
        for item in value:
            items.append(canonical(item))
        return items
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        if key not in _IGNORED and not _is_empty(evened := canonical(item)):
            found[key] = evened
    return _evened(found)


def same_meaning(left: Any, right: Any) -> bool:
    """Whether the trees are equal in canonical form."""
    return bool(canonical(left) == canonical(right))


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == "" or value == [] or value == {}


def _evened(node: dict[str, Any]) -> dict[str, Any]:
    if "group_sets" in node:
        return _grouping(node)
    if node.get("class") == "FUNCTION" and node.get("function_name") in _ESCAPES:
        return {key: item for key, item in node.items() if key != "is_operator"}
    if node.get("type") == "SUBQUERY" and node.get("alias") == "valueslist":
        return _bare_values(node)
    if "name" in node and isinstance(node.get("expression"), dict):
        return _named_once(node)
    return node


def _grouping(node: dict[str, Any]) -> dict[str, Any]:
    """Grouping sets by the text of their expressions, so that the order of the list behind them does not matter."""
    texts = [json.dumps(expression, sort_keys=True) for expression in node.get("group_expressions", [])]
    sets = [sorted(texts[index] for index in (group or [])) for group in node["group_sets"]]
    return {**node, "group_sets": sets, "group_expressions": sorted(texts)}


def _bare_values(node: dict[str, Any]) -> dict[str, Any]:
    inner = node.get("subquery", {}).get("node", {})
    values = inner.get("from_table", {})
    is_bare = (
        set(node) == {"type", "alias", "subquery"}
        and set(inner) <= {"type", "select_list", "from_table", "aggregate_handling"}
        and inner.get("select_list") == [_STAR]
        and inner.get("aggregate_handling", "STANDARD_HANDLING") == "STANDARD_HANDLING"
        and values.get("type") == "EXPRESSION_LIST"
        and values.get("alias") == "valueslist"
    )
    return dict(values) if is_bare else node


def _named_once(node: dict[str, Any]) -> dict[str, Any]:
    expression = node["expression"]
    if expression.get("alias") != node["name"]:
        return node
    return {**node, "expression": {key: item for key, item in expression.items() if key != "alias"}}
