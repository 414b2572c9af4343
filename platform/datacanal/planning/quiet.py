"""Which bound plans cannot raise and give the same whenever and wherever they run: the list of operators.

What may stand in their expressions is the list of `harmless`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from datacanal.planning.harmless import function_name, is_harmless

_Json = dict[str, Any]

_OPERATORS = frozenset(
    """
    LOGICAL_AGGREGATE_AND_GROUP_BY LOGICAL_COMPARISON_JOIN LOGICAL_CROSS_PRODUCT LOGICAL_CTE_REF LOGICAL_DISTINCT
    LOGICAL_DUMMY_SCAN LOGICAL_EXCEPT LOGICAL_FILTER LOGICAL_GET LOGICAL_INTERSECT LOGICAL_LIMIT
    LOGICAL_MATERIALIZED_CTE LOGICAL_ORDER_BY LOGICAL_PROJECTION LOGICAL_UNION
    """.split()  # noqa: SIM905  # one word list reads better than fifteen quoted strings
)
_JOINS = frozenset({"INNER", "LEFT", "RIGHT", "OUTER", "SEMI", "ANTI", "MARK"})
_LIMITS = frozenset({"CONSTANT_VALUE", "UNSET"})
_PLAIN_TYPE = re.compile(
    r"(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\s?\d+\)|VARCHAR|BOOLEAN|DATE|TIME|"
    r"TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|UUID|BLOB|ENUM\(.*\))",
    re.DOTALL,
)
_ADDED = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE"})
_ADDED_WIDTH = 19
"""Decimals of that width can be added up 10^19 times before a sum of 38 digits overflows."""


def is_plain_type(kind: str) -> bool:
    """Whether a column of the type is the same behind a transfer, and the same in every context."""
    return _PLAIN_TYPE.fullmatch(kind) is not None


def gives_the_same(bound: _Json | None) -> bool:
    """Whether the plan is known, every operator and expression of it listed, and no column of it a bare constant.

    A bare constant can have another type in a set operation than it has alone.
    """
    return bound is not None and all(map(_is_listed, _operators(bound)))


def _operators(bound: _Json) -> Iterator[_Json]:
    stack = [bound]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.get("children", []))


def _is_listed(node: _Json) -> bool:
    kind = node.get("type")
    if kind not in _OPERATORS:
        return False
    if kind == "LOGICAL_COMPARISON_JOIN" and node.get("join_type") not in _JOINS:
        return False
    if kind == "LOGICAL_GET" and node.get("children"):
        return False
    if kind == "LOGICAL_PROJECTION" and any(map(_is_constant, node.get("expressions", []))):
        return False
    if kind == "LOGICAL_LIMIT":
        return all((node.get(part) or {}).get("type", "UNSET") in _LIMITS for part in ("limit_val", "offset_val"))
    return all(map(_is_quiet, _expressions(node)))


def _expressions(node: _Json) -> Iterator[_Json]:
    """The outermost expressions of one operator."""
    stack: list[Any] = [value for key, value in node.items() if key != "children"]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if "expression_class" in value:
                yield value
            else:
                stack.extend(value.values())


def _is_constant(expression: _Json) -> bool:
    return expression.get("expression_class") == "BOUND_CONSTANT"


def _is_quiet(expression: _Json) -> bool:
    if expression.get("expression_class") != "BOUND_AGGREGATE":
        return is_harmless(expression)
    inside = [*expression.get("children", []), *([expression["filter"]] if expression.get("filter") else [])]
    return not expression.get("order_bys") and _is_quiet_call(expression) and all(map(is_harmless, inside))


def _is_quiet_call(call: _Json) -> bool:
    name = function_name(call)
    if name in ("count", "count_star"):
        return True
    kinds = [child.get("return_type") or {} for child in call.get("children", [])]
    if len(kinds) != 1 or name not in ("min", "max", "sum", "avg"):
        return False
    kind = kinds[0]
    if name in ("min", "max"):
        return True
    if kind.get("id") == "DECIMAL":
        return int((kind.get("type_info") or {}).get("width", _ADDED_WIDTH + 1)) <= _ADDED_WIDTH
    return kind.get("id") in _ADDED
