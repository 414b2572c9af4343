"""Expressions of a SELECT block, compared as DuckDB compares them when it looks for grouped ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from datacanal.planning.canonical import canonical
from datacanal.planning.functions import aggregates
from datacanal.planning.pieces import Node
from datacanal.planning.tree_walk import objects

FromColumns = Mapping[str, frozenset[str]]
"""The columns of each item of a FROM clause, all names in lower case."""

_RANDOM = frozenset({"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"})
_STEADY_AGGREGATES = frozenset(
    "avg bool_and bool_or count count_if count_star countif max mean min stddev stddev_pop sum var_pop variance".split()  # noqa: SIM905  # a list
)


def is_column(expression: Node) -> bool:
    """Whether it is a reference to a column, or to an alias."""
    return expression.get("class") == "COLUMN_REF"


def bare_name(expression: Node) -> str | None:
    """The name in lower case where the expression is one name without a dot."""
    names = expression.get("column_names", [])
    return str(names[0]).lower() if is_column(expression) and len(names) == 1 else None


def named_column(expression: Node, columns: FromColumns) -> tuple[str, str] | None:
    """The item of FROM and its column that a reference means, in lower case; None where that is not plain."""
    names = [str(name).lower() for name in expression.get("column_names", [])]
    if not is_column(expression) or not names:
        return None
    if len(names) == 1:
        items = [item for item, known in columns.items() if names[0] in known]
        return (items[0], names[0]) if len(items) == 1 else None
    return (names[-2], names[-1]) if names[-1] in columns.get(names[-2], ()) else None


def key_of(expression: Node, columns: FromColumns) -> str:
    """Equal for expressions that are one for a GROUP BY, whatever their aliases."""
    return json.dumps(_normal(canonical(expression), columns), sort_keys=True)


def parts(expression: Any) -> Iterator[Node]:
    """Every expression in the value but those of subqueries, each before those inside it."""
    stack: list[Any] = [expression]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            if "class" in value:
                yield value
            stack.extend(item for name, item in reversed(value.items()) if name != "subquery")


def aggregate_calls(expression: Any) -> Iterator[Node]:
    """The calls of aggregate functions in the value, subqueries apart; windows are none."""
    return (part for part in parts(expression) if is_aggregate(part))


def is_aggregate(expression: Node) -> bool:
    """Whether it calls an aggregate function."""
    return expression.get("class") == "FUNCTION" and str(expression.get("function_name")).lower() in aggregates()


def is_repeatable(node: Node) -> bool:
    """Whether the query node gives the same rows each time: no limit, sample or window, nothing random or unordered."""
    for part in objects(node):
        function = str(part.get("function_name", "")).lower()
        is_unsteady = function in _RANDOM or (function in aggregates() and function not in _STEADY_AGGREGATES)
        if is_unsteady or part.get("class") == "WINDOW" or part.get("sample") or part.get("distinct_on_targets"):
            return False
        if part.get("type") == "LIMIT_MODIFIER":
            return False
    return True


def arguments_of(call: Node) -> list[Node]:
    """The expressions that a function is called with."""
    return [argument["expression"] for argument in call.get("arguments", [])]


def _normal(value: Any, columns: FromColumns, *, is_root: bool = True) -> Any:
    # Plain loops: a comprehension would take a second frame for each level of a deep tree.
    if isinstance(value, list):
        items = []
        for item in value:
            items.append(_normal(item, columns, is_root=False))
        return items
    if not isinstance(value, dict):
        return value
    if is_column(value):
        return {"column": named_column(value, columns) or [str(name).lower() for name in value["column_names"]]}
    found = {}
    for name, item in value.items():
        if name != "alias" or not is_root:
            found[name] = _normal(item, columns, is_root=False)
    return found
