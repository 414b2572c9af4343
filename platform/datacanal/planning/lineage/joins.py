"""Joins: which columns come out, and what the conditions say about rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datacanal.planning.lineage.conditions import comparison, conjunct, noted_uses
from datacanal.planning.lineage.flow import BOOLEAN, Column, Flow, Json, NotUnderstood, beside
from datacanal.planning.lineage.sources import Mask
from datacanal.planning.lineage.walk import Walk

USED = "in a join condition"
_BOTH = frozenset({"INNER", "LEFT", "RIGHT", "FULL", "SINGLE"})
_LEFT = frozenset({"SEMI", "ANTI"})


def cross_product(_walk: Walk, _node: Json, children: list[Flow]) -> Flow:
    """Every row with every row."""
    left, right = children
    return beside(left, right)


def positional_join(walk: Walk, _node: Json, children: list[Flow]) -> Flow:
    """Rows by their numbers."""
    left, right = children
    return beside(walk.settled(left), walk.settled(right))


def comparison_join(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Each comparison has a side over the left input and one over the right; other conditions see both, left first."""
    left, right = children
    both = beside(left, right)
    mask = 0
    for condition in node.get("conditions") or []:
        sides = (condition["left"], left), (condition.get("right"), right)
        if condition.get("right") is None:
            mask |= conjunct(walk, condition["left"], both, USED)
        else:
            mask |= comparison(walk, condition["comparison"], *sides, USED)
    if node.get("predicate") is not None:
        mask |= conjunct(walk, node["predicate"], both, USED)
    return _output(node, left, right, mask)


def asof_join(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """Which partner is the nearest is more than an equality: every condition counts."""
    left, right = map(walk.settled, children)
    mask = 0
    for condition in node["conditions"]:
        mask |= _side(walk, condition.get("left"), left) | _side(walk, condition.get("right"), right)
    if node.get("predicate") is not None:
        mask |= _side(walk, node["predicate"], beside(left, right))
    return _output(node, left, right, mask)


def any_join(walk: Walk, node: Json, children: list[Flow]) -> Flow:
    """The condition sees what comes out, and of a semi or anti join the right input behind it."""
    left, right = children
    seen = replace(_output(node, left, right, 0), index=None)
    if node["join_type"] in _LEFT:
        seen = beside(seen, right)
    return _output(node, left, right, conjunct(walk, node["condition"], seen, USED))


def _side(walk: Walk, expression: Any, flow: Flow) -> Mask:
    return noted_uses(walk, expression, flow, "in the condition of an ASOF join")


def _output(node: Json, left: Flow, right: Flow, mask: Mask) -> Flow:
    """The rows of a join depend on both inputs' rows and on the condition, a mark's values too."""
    kept, other = left.mapped(node.get("left_projection_map")), right.mapped(node.get("right_projection_map"))
    both = beside(kept, other).shaped(mask)
    if node["join_type"] in _BOTH:
        return both
    asked = replace(both, repeats=kept.repeats)  # whether there is a partner, not how many
    if node["join_type"] in _LEFT:
        return asked.with_columns(kept.columns)
    if node["join_type"] == "MARK":
        return asked.with_columns([*kept.columns, Column(mask, BOOLEAN)])
    raise NotUnderstood(f"a join of type {node['join_type']}")
